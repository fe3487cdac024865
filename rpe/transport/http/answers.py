"""From a handler's answers to what HTTP carries: bodies, events and statuses."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from aiohttp import web

from rpe.data import RuntimeData
from rpe.transport.http.damage import damaged
from rpe.transport.http.keys import (
    CLOSED_EVENT,
    CONTEXT_FIELD,
    ERROR_EVENT,
    ERROR_TYPE_FIELD,
    MORE_KEY,
    NODE_FIELD,
    OUTPUT_KEY,
    RETRY_AFTER_FIELD,
    RETRY_AFTER_KEY,
    STATUS_FIELD,
)
from rpe.transport.http.labels import check_labels
from rpe.transport.serving import (
    Answer,
    ApplicationError,
    Damage,
    ErrorType,
    RawAnswer,
    Refusal,
    StatusCode,
)
from rpe.wire.json import encode_output, encode_transport

__all__ = [
    "Ending",
    "answer_body",
    "application_ending",
    "closed_event",
    "error_event",
    "error_response",
    "refusal_ending",
    "result_events",
]

_STATUS = {
    StatusCode.CANCELLED: 499,
    StatusCode.UNKNOWN: 500,
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.DEADLINE_EXCEEDED: 504,
    StatusCode.NOT_FOUND: 404,
    StatusCode.PERMISSION_DENIED: 403,
    StatusCode.RESOURCE_EXHAUSTED: 429,
    StatusCode.FAILED_PRECONDITION: 400,
    StatusCode.ABORTED: 409,
    StatusCode.OUT_OF_RANGE: 400,
    StatusCode.UNIMPLEMENTED: 501,
    StatusCode.INTERNAL: 500,
    StatusCode.UNAVAILABLE: 503,
    StatusCode.DATA_LOSS: 500,
    StatusCode.UNAUTHENTICATED: 401,
}
"""The HTTP status of each refusal, where it does not bring its own."""

_VALIDATION = (ErrorType.VALIDATION, ErrorType.TYPE_VALIDATION)


class Ending(NamedTuple):
    """How a call or a session fails: an HTTP status, the fields of its error, and further headers."""

    status: int
    fields: dict[str, Any]
    headers: Mapping[str, str]


def refusal_ending(refusal: Refusal) -> Ending:
    """Return what a refusal is on this wire.

    `Retry-After` knows whole seconds only, and is rounded up; a header of our own is
    exact, and alone can say never.
    """
    status = refusal.http_status or _STATUS[refusal.status]
    fields: dict[str, Any] = {
        "error_type": "validation" if 400 <= status < 500 else "execution",
        "message": refusal.message,
    }
    if status == 500:
        fields[ERROR_TYPE_FIELD] = ErrorType.INTERNAL
    headers = dict(refusal.metadata)
    if (after_s := refusal.retry_after_s) is not None:
        exact = str(math.ceil(after_s * 1000)) if after_s >= 0 else "-1"
        headers[RETRY_AFTER_KEY] = fields[RETRY_AFTER_FIELD] = exact
        if after_s >= 0:
            headers["Retry-After"] = str(math.ceil(after_s))
    return Ending(status, fields, headers)


def application_ending(error: ApplicationError, told: str = "") -> Ending:
    """Return what an error of the pipeline is on this wire; `told` names the contract's kind of it."""
    invalid = error.error_type in _VALIDATION
    fields = {
        "error_type": told or ("validation" if invalid else "execution"),
        "message": error.message,
        ERROR_TYPE_FIELD: error.error_type,
    }
    if error.node_id:
        fields[NODE_FIELD] = error.node_id
    if error.context:
        fields[CONTEXT_FIELD] = error.context
    return Ending(400 if invalid else 500, fields, {})


def error_response(ending: Ending) -> web.Response:
    """Return the answer that carries an error."""
    return web.Response(
        status=ending.status,
        body=json.dumps(ending.fields).encode(),
        headers=ending.headers,
        content_type="application/json",
    )


def error_event(ending: Ending) -> tuple[str, bytes]:
    """Return the type and data of the event that carries an error, and ends its session."""
    return ERROR_EVENT, json.dumps({**ending.fields, STATUS_FIELD: ending.status}).encode()


def closed_event() -> tuple[str, bytes]:
    """Return the type and data of the event that ends a session well."""
    return CLOSED_EVENT, b"{}"


def answer_body(answer: Answer | RawAnswer) -> bytes:
    """Return the body of a good answer.

    The wire has one output: of several, the one named `output` is sent, or else the first by name.
    Raises Refusal where there is none.
    """
    if isinstance(answer, RawAnswer):
        return answer.payload
    name = "output" if "output" in answer.outputs else min(answer.outputs, default=None)
    if name is None:
        raise Refusal(StatusCode.INTERNAL, "the pipeline gave no output")
    beside = {} if name == "output" else {OUTPUT_KEY: name}
    check_labels(answer.outputs[name])
    return damaged(encode_output(answer.outputs[name], metadata=beside), answer.damage)


def result_events(
    sequence: int, outputs: Mapping[str, RuntimeData], damage: Damage | None
) -> Iterator[bytes]:
    """Yield the data of the events of one result, one for each output; a damage breaks the last of them.

    A result with no output has no form on this wire: nothing is sent of it.
    """
    left = len(outputs)
    for name, data in outputs.items():
        left -= 1
        check_labels(data)
        beside = {} if name == "output" else {OUTPUT_KEY: name}
        if left:
            beside[MORE_KEY] = "1"
        payload = encode_transport(data, sequence=sequence, metadata=beside)
        yield payload if left else damaged(payload, damage)
