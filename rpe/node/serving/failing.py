"""What a caller is told of a pipeline that failed, and whether it failed here or behind this server."""

from __future__ import annotations

from rpe.errors import (
    AllEndpointsFailed,
    AuthenticationFailed,
    ConfigurationError,
    DataValidationError,
    Downstream,
    HopLimitExceeded,
    InvalidRequest,
    ManifestFetchFailed,
    NetworkError,
    ProtocolViolation,
    RemoteExecutionFailed,
    RemoteTimeout,
    RpeError,
    redact,
)
from rpe.manifest.model import Manifest
from rpe.manifest.remote import is_remote, read_endpoints
from rpe.node.errors import NodeFailed
from rpe.transport.downstream import clean, write_context
from rpe.transport.serving import ApplicationError, ErrorType

__all__ = ["told"]

_BEHIND = (
    AuthenticationFailed,
    InvalidRequest,
    ManifestFetchFailed,
    NetworkError,
    ProtocolViolation,
    RemoteExecutionFailed,
    RemoteTimeout,
)
"""What only somebody who called another machine can have met."""


def told(error: RpeError, manifest: Manifest, hops: int) -> ApplicationError:
    """Return what the caller of a pipeline is told of its end; no credentials are in it.

    Arguments:
        error: what the runner raised.
        manifest: the pipeline.
        hops: how far this server is from where the operation began.
    """
    node_id = error.node or ""
    cause: BaseException = error
    while isinstance(cause, NodeFailed) and cause.__cause__ is not None:
        cause = cause.__cause__
    if isinstance(cause, HopLimitExceeded):
        return _too_far(cause, node_id, hops)
    if isinstance(cause, _BEHIND) or (isinstance(cause, RpeError) and cause.endpoint is not None):
        return _behind(cause, manifest, node_id, hops)
    kind = ErrorType.NODE_EXECUTION
    if isinstance(cause, DataValidationError) or isinstance(error, ConfigurationError):
        kind = ErrorType.VALIDATION
    where = f"node {node_id}: " if node_id else ""
    return ApplicationError(kind, redact(f"{where}{error.message}{_hint(cause)}"), node_id)


def _behind(cause: RpeError, manifest: Manifest, node_id: str, hops: int) -> ApplicationError:
    inner = _told_from_afar(cause)
    executed = (
        len(manifest.nodes) > 1
    )  # the other nodes may have done their work, whatever became of the call
    if inner is not None and inner.downstream is not None:
        far = inner.downstream
        message = inner.message
        maybe_executed, retryable = far.maybe_executed or executed, far.retryable
        downstream = Downstream(
            far.kind, far.code, far.hop, far.node, far.endpoint, retryable, maybe_executed
        )
    else:
        endpoint = clean(_endpoint(cause, manifest, node_id))
        # Who made the call has tried as often as it may. Through another server only that is worth
        # a try which was not even begun, or each of them would multiply the tries of the next.
        retryable = cause.retryable and not cause.maybe_executed
        maybe_executed = cause.maybe_executed or executed
        downstream = Downstream(
            cause.kind, cause.code, hops + 1, node_id or None, endpoint, retryable, maybe_executed
        )
        where = [f"hop {hops + 1}"]
        where += [f"node {node_id}"] if node_id else []
        where += [f"endpoint {endpoint}"] if endpoint else []
        message = f"{', '.join(where)}: [{cause.code}] {cause.message}{_hint(cause)}"
    return ApplicationError(
        ErrorType.NODE_EXECUTION, redact(message), node_id, context=write_context(downstream)
    )


def _too_far(cause: HopLimitExceeded, node_id: str, hops: int) -> ApplicationError:
    limit = Downstream(
        cause.kind,
        cause.code,
        cause.hops or hops + 1,
        node_id or None,
        retryable=False,
        maybe_executed=cause.maybe_executed,
    )
    return ApplicationError(
        ErrorType.VALIDATION, redact(cause.message), node_id, context=write_context(limit)
    )


def _told_from_afar(cause: RpeError) -> RemoteExecutionFailed | None:
    """The answer of a server that blames what lies behind it, also where it was one of several tries."""
    found: BaseException | None = cause
    while isinstance(found, AllEndpointsFailed) and found.__cause__ is not None:
        found = found.__cause__
    return found if isinstance(found, RemoteExecutionFailed) and found.downstream is not None else None


def _endpoint(cause: RpeError, manifest: Manifest, node_id: str) -> str | None:
    """Who was called: as the error says, or the last one tried, or all that the node could have called."""
    if cause.endpoint is not None:
        return cause.endpoint
    if cause.attempts:
        return cause.attempts[-1].endpoint
    node = manifest.node(node_id)
    if node is None or not is_remote(node):
        return None
    try:
        return ", ".join(read_endpoints(node.params))
    except RpeError:
        return None


def _hint(cause: BaseException) -> str:
    return f" (hint: {cause.hint})" if isinstance(cause, RpeError) and cause.hint else ""
