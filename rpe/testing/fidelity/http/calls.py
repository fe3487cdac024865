"""The bodies of the HTTP wire, as the checks send and read them."""

from __future__ import annotations

import json
from typing import Any

from rpe.data import RuntimeData
from rpe.testing.fidelity.http.client import HttpConnection, HttpResponse
from rpe.testing.fidelity.model import Violation
from rpe.testing.fidelity.samples import pipeline
from rpe.testing.fidelity.target import Target
from rpe.wire.json import decode_output, encode_execute_request, encode_input, encode_stream_request

__all__ = ["check_error", "execute", "execute_body", "input_body", "strange_body", "stream_body"]

_ERROR_TYPES = ("validation", "manifest", "input", "execution")


def execute_body(target: Target, data: RuntimeData) -> bytes:
    """Return the body of an execution of the node under test."""
    return encode_execute_request(pipeline(target.node_type), data)


def stream_body(target: Target) -> bytes:
    """Return the body that opens a session."""
    return encode_stream_request(pipeline(target.node_type))


def input_body(data: RuntimeData, sequence: int) -> bytes:
    """Return the body of one chunk."""
    return encode_input(data, sequence=sequence)


def strange_body(target: Target, data: RuntimeData) -> bytes:
    """Return the body of an execution whose manifest has a connection to a node that is not there."""
    body = json.loads(execute_body(target, data))
    body["manifest"]["connections"] = [{"from": body["manifest"]["nodes"][0]["id"], "to": "nowhere"}]
    return json.dumps(body).encode()


async def execute(connection: HttpConnection, data: RuntimeData) -> RuntimeData:
    """Run one piece of data through the node under test, and return the output."""
    response = await connection.send("POST", "/execute", execute_body(connection.target, data))
    if response.status != 200:
        raise Violation(
            f"an execution was answered with {response.status}: {(await response.body())[:120]!r}"
        )
    return decode_output(json.dumps(await response.json()).encode()).data


async def check_error(response: HttpResponse, what: str, statuses: tuple[int, ...] = ()) -> dict[str, Any]:
    """Check that an answer is an error in the form of the contract, and return it.

    Raises Violation for another status than one of `statuses` (or than 400 to 599, where none
    are given), and for a body without an `error_type` and a `message`.
    """
    if response.status not in (statuses or range(400, 600)):
        due = " or ".join(map(str, statuses)) or "an error"
        raise Violation(f"{what} was answered with {response.status} where {due} was due")
    error = await response.json()
    if not isinstance(error, dict):
        raise Violation(f"{what}: the error is no object: {str(error)[:80]}")
    if error.get("error_type") not in _ERROR_TYPES:
        raise Violation(f"{what}: the error_type is {error.get('error_type')!r}")
    if not isinstance(error.get("message"), str) or not error["message"]:
        raise Violation(f"{what}: the error has no message")
    return error
