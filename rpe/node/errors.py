"""What goes wrong with nodes: unknown or claimed twice, and failing while they run."""

from __future__ import annotations

from rpe.errors import ConfigurationError, ErrorKind, RpeError, redact

__all__ = ["DuplicateNodeType", "NodeFailed", "UnknownNodeType"]


class UnknownNodeType(ConfigurationError):
    """No node type of that name is registered."""

    code = "unknown_node_type"


class DuplicateNodeType(ConfigurationError):
    """Two node types claim one name."""

    code = "duplicate_node_type"


class NodeFailed(RpeError):
    """A node of a local pipeline failed, and the run with it; `node` is its id.

    What the node raised is the `__cause__`. Where that is an error of rpe (a remote node that
    timed out, data of the wrong kind), its blame is kept: kind, endpoint, attempts, hint,
    retryable and maybe_executed are those of the cause. Any other exception counts as the
    pipeline's execution having failed, which trying again does not mend.

    Arguments:
        node: the id of the node in the manifest that ran here.
        cause: what it raised.
    """

    code = "node_failed"
    kind = ErrorKind.REMOTE_EXECUTION
    default_maybe_executed = True
    default_hint = "look at what this node raised, or lead its error port somewhere"

    def __init__(self, node: str, cause: BaseException) -> None:
        if not isinstance(cause, RpeError):
            text = f"{type(cause).__name__}: {cause}" if str(cause) else type(cause).__name__
            super().__init__(redact(text), node=node)
        else:
            inner = f" (inside it, in node {cause.node})" if cause.node not in (None, node) else ""
            super().__init__(
                f"[{cause.code}] {redact(cause.message)}{inner}",
                node=node,
                endpoint=cause.endpoint,
                attempts=cause.attempts,
                hint=cause.hint or None,
                retryable=cause.retryable,
                maybe_executed=cause.maybe_executed,
            )
            self.kind = cause.kind  # type: ignore[misc]  # the blame of this instance is its cause's
        self.__cause__ = cause
