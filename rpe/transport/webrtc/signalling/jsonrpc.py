"""JSON-RPC 2.0 (jsonrpc.org/specification), both ends: text to messages and back, with no I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rpe.transport.webrtc.signalling.errors import Code

__all__ = ["Call", "CallId", "Malformed", "Message", "Outcome", "call_text", "outcome_text", "read"]

CallId = str | int | float | None


@dataclass(frozen=True, slots=True)
class Call:
    """A request; with `wants_answer` false a notification, whose id means nothing."""

    method: str
    params: Mapping[str, Any]
    id: CallId = None
    wants_answer: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to a request: a result, or an error's code and message."""

    id: CallId
    result: Any = None
    error: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True)
class Malformed:
    """What is none of these; `error` is what its sender is told, under `id` where one could be read."""

    id: CallId
    error: tuple[int, str]


Message = Call | Outcome | Malformed


def read(text: str) -> tuple[list[Message], bool]:
    """Read one frame. Returns its messages, and whether they came as a batch.

    Never raises: what cannot be read is returned as Malformed. So is an empty batch, which
    the specification answers as if it were no batch.
    """
    try:
        content = json.loads(text, parse_constant=_refuse)
        if "\\ud" in text.lower():
            # Half of a pair of surrogates is no text, and could not be passed on to anybody.
            json.dumps(content, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        return [_malformed(None, Code.PARSE_ERROR, f"not JSON: {error}")], False
    if not isinstance(content, list):
        return [_read_one(content)], False
    if not content:
        return [_malformed(None, Code.INVALID_REQUEST, "an empty batch")], False
    return [_read_one(item) for item in content], True


def call_text(method: str, params: Mapping[str, Any], call_id: int | None = None) -> str:
    """Write a request, or a notification where there is no id."""
    content: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
    if call_id is not None:
        content["id"] = call_id
    return json.dumps(content)


def outcome_text(outcome: Outcome) -> str:
    """Write an answer; those of a batch are joined into an array by the caller."""
    content: dict[str, Any] = {"jsonrpc": "2.0", "id": outcome.id}
    if outcome.error is None:
        content["result"] = outcome.result
    else:
        content["error"] = {"code": outcome.error[0], "message": outcome.error[1]}
    return json.dumps(content)


def _read_one(item: Any) -> Message:
    if not isinstance(item, dict):
        return _malformed(None, Code.INVALID_REQUEST, "a message must be an object")
    call_id = item.get("id")
    if isinstance(call_id, bool) or not isinstance(call_id, str | int | float | None):
        return _malformed(None, Code.INVALID_REQUEST, "id must be a string, a number or null")
    if item.get("jsonrpc") != "2.0":
        return _malformed(call_id, Code.INVALID_REQUEST, 'jsonrpc must be "2.0"')
    if "method" in item:
        return _read_call(item, call_id)
    if ("result" in item) == ("error" in item):
        return _malformed(call_id, Code.INVALID_REQUEST, "neither a method, nor one of result and error")
    if "result" in item:
        return Outcome(call_id, item["result"])
    return _read_error(item["error"], call_id)


def _read_call(item: dict[str, Any], call_id: CallId) -> Message:
    method, params = item["method"], item.get("params", {})
    if not isinstance(method, str):
        return _malformed(call_id, Code.INVALID_REQUEST, "method must be a string")
    if isinstance(params, list):
        return _malformed(call_id, Code.INVALID_PARAMS, "params must be given by name, as an object")
    if not isinstance(params, dict):
        return _malformed(call_id, Code.INVALID_REQUEST, "params must be an object")
    return Call(method, params, call_id, wants_answer="id" in item)


def _read_error(error: Any, call_id: CallId) -> Message:
    code = error.get("code") if isinstance(error, dict) else None
    if not isinstance(code, int) or isinstance(code, bool):
        return _malformed(call_id, Code.INVALID_REQUEST, "an error without a code")
    return Outcome(call_id, error=(code, str(error.get("message", ""))))


def _malformed(call_id: CallId, code: int, reason: str) -> Malformed:
    return Malformed(call_id, (code, reason))


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
