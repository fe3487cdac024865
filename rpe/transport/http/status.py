"""From what HTTP and aiohttp report to the errors of rpe: the one edge where foreign errors become ours."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from aiohttp.http_exceptions import TransferEncodingError
from multidict import CIMultiDict, CIMultiDictProxy

from rpe.errors import (
    ConnectFailed,
    ConnectionLost,
    InvalidRequest,
    ProtocolViolation,
    RemoteOverloaded,
    RemoteTimeout,
    RpeError,
    redact,
)
from rpe.transport.failures import (
    broken_off,
    failed,
    forbidden,
    invalid,
    not_offered,
    pipeline_error,
    refused_credentials,
    unavailable,
)
from rpe.transport.http.keys import (
    CONTEXT_FIELD,
    ERROR_TYPE_FIELD,
    NODE_FIELD,
    RETRY_AFTER_FIELD,
    RETRY_AFTER_KEY,
    STATUS_FIELD,
)

__all__ = ["answer_error", "closed_error", "event_error", "network_error", "retry_after_s", "without_request"]

_REFUSED_TYPES = frozenset({"validation", "manifest", "input"})
_TEXT_LIMIT = 500
_LONGEST_NUMBER = 15
"""As many digits as are read: more are not needed to say that it will be for ever."""


def network_error(error: BaseException, endpoint: str) -> RpeError:
    """Turn what aiohttp raises into the error it means. Whether the request was executed is judged strictly.

    Any error before the first byte of an answer on a connection that stood leaves it open:
    the server may have read the request, and only its answer was lost.
    """
    text = redact(_clipped(str(error) or type(error).__name__))
    if isinstance(error, aiohttp.ConnectionTimeoutError | aiohttp.ClientConnectorError):
        return ConnectFailed(f"no connection: {text}", endpoint=endpoint)
    if refusal := _certificate_refusal(error):
        return ConnectFailed(f"the server refused our side of TLS: {refusal}", endpoint=endpoint)
    if isinstance(error, TimeoutError):
        return RemoteTimeout("no answer within the deadline", endpoint=endpoint)
    if isinstance(error, aiohttp.ClientPayloadError):
        # A body that is cut and one that was announced too long look the same from here.
        if any(isinstance(cause, TransferEncodingError) for cause in _causes(error)) and (
            "Not enough data" not in text
        ):
            return ProtocolViolation(f"the answer is not HTTP: {text}", endpoint=endpoint)
        return ConnectionLost(f"the connection broke within the answer: {text}", endpoint=endpoint)
    if isinstance(error, aiohttp.ClientResponseError):
        without_request(error)
        return ProtocolViolation(f"the answer is not HTTP: {text}", endpoint=endpoint)
    return ConnectionLost(f"the connection broke: {text}", endpoint=endpoint)


def without_request(error: aiohttp.ClientResponseError) -> aiohttp.ClientResponseError:
    """Return an error of aiohttp, whose repr shows the request with its headers, without them."""
    request = error.request_info
    bare = aiohttp.RequestInfo(request.url, request.method, CIMultiDictProxy(CIMultiDict()), request.real_url)
    error.request_info, error.args = bare, (bare, error.history)
    return error


def closed_error(endpoint: str) -> RpeError:
    """Return what a call gets from a client that was closed before it."""
    return ConnectionLost("the client is closed", endpoint=endpoint, maybe_executed=False, retryable=False)


def answer_error(status: int, headers: Mapping[str, str], body: bytes, endpoint: str) -> RpeError:
    """Turn an answer that is not the one asked for into the error it means."""
    fields = _fields(body)
    if not fields and body:
        fields = {"message": body[:_TEXT_LIMIT].decode("utf-8", "replace").strip()}
    return _error(status, fields, retry_after_s(headers), endpoint)


def event_error(data: str, endpoint: str) -> RpeError:
    """Turn the data of an error event into the error it means."""
    fields = _fields(data)
    status = fields.get(STATUS_FIELD)
    if not isinstance(status, int):
        status = 400 if fields.get("error_type") in _REFUSED_TYPES else 500
    wait_ms = fields.get(RETRY_AFTER_FIELD)
    wait_s = _from_milliseconds(str(wait_ms)) if wait_ms is not None else None
    return _error(status, fields or {"message": _clipped(data)}, wait_s, endpoint)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the server's own retry hint in seconds; negative for never, None without one that can be read.

    `Retry-After` is a number of seconds or a date (RFC 9110, section 10.2.3). A date is
    compared with the answer's own `Date`, so that neither clock needs to be right.
    """
    exact = headers.get(RETRY_AFTER_KEY)
    if exact is not None and (wait_s := _from_milliseconds(exact)) is not None:
        return wait_s
    told = headers.get("Retry-After", "").strip()
    if told.isascii() and told.isdecimal():
        return float(told[:_LONGEST_NUMBER])
    try:
        return max((_date(told) - _date(headers.get("Date", ""))).total_seconds(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return None


def _date(text: str) -> datetime:
    date = parsedate_to_datetime(text)
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date


def _error(status: int, fields: Mapping[str, Any], wait_s: float | None, endpoint: str) -> RpeError:
    message = redact(_message(fields))
    text = f"{status}: {message or 'the server gave no message'}"
    node = fields.get(NODE_FIELD)
    node = node if isinstance(node, str) and node else None
    if status in (400, 422, 500):
        finer, told = fields.get(ERROR_TYPE_FIELD), fields.get("error_type")
        if isinstance(finer, str):
            context = fields.get(CONTEXT_FIELD)
            context = context if isinstance(context, str) else ""
            return pipeline_error(finer, message, node=node, endpoint=endpoint, context=context)
        if told in _REFUSED_TYPES:
            return InvalidRequest(f"the server refused the request: {message}", endpoint=endpoint, node=node)
        if told == "execution":
            return pipeline_error("execution", message, node=node, endpoint=endpoint)
    if status in (429, 425) or (status == 503 and wait_s is not None):
        # Only a server that turned the request away before touching it can say when to come again.
        return RemoteOverloaded(f"the server is overloaded: {text}", endpoint=endpoint, retry_after_s=wait_s)
    return (_BY_STATUS.get(status) or _by_class(status))(text, endpoint)


def _message(fields: Mapping[str, Any]) -> str:
    message = fields.get("message")
    text = message if isinstance(message, str) else ""
    if isinstance(more := fields.get("validation_errors"), list) and more:
        text = f"{text} ({'; '.join(str(item) for item in more[:10])})".strip()
    return _clipped(text)


def _fields(payload: bytes | str) -> dict[str, Any]:
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _from_milliseconds(text: str) -> float | None:
    digits = text.strip().removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= _LONGEST_NUMBER):
        return None
    return -1.0 if text.strip().startswith("-") else int(digits) / 1000


def _clipped(text: str) -> str:
    return text if len(text) <= _TEXT_LIMIT else f"{text[:_TEXT_LIMIT]}..."


def _causes(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__


def _certificate_refusal(error: BaseException) -> str:
    """Return the alert by which a server ended TLS: with TLS 1.3 it comes after the client's handshake."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError) and "ALERT" in str(cause.reason or "").upper():
            return str(cause.reason)
    return ""


def _timeout(text: str, endpoint: str) -> RpeError:
    return RemoteTimeout(f"the server gave up: {text}", endpoint=endpoint)


def _not_found(text: str, endpoint: str) -> RpeError:
    return InvalidRequest(
        f"the server does not know what was asked for: {text}",
        endpoint=endpoint,
        hint="check that the address, with its path, is that of a pipeline server",
    )


def _too_large(text: str, endpoint: str) -> RpeError:
    return InvalidRequest(
        f"the request is too large for the server: {text}",
        endpoint=endpoint,
        hint="send less, or raise max_message_bytes of the server",
    )


def _redirected(text: str, endpoint: str) -> RpeError:
    return ProtocolViolation(
        f"the server points elsewhere: {text}",
        endpoint=endpoint,
        maybe_executed=False,
        retryable=False,
        hint="give the address of the pipeline server itself: redirects are not followed",
    )


def _unexpected(text: str, endpoint: str) -> RpeError:
    return ProtocolViolation(f"the server answered with {text}", endpoint=endpoint)


_ErrorMaker = Callable[[str, str], RpeError]

_BY_STATUS: dict[int, _ErrorMaker] = {
    401: refused_credentials,
    403: forbidden,
    404: _not_found,
    405: not_offered,
    407: forbidden,
    408: _timeout,
    409: failed,
    413: _too_large,
    499: broken_off,
    501: not_offered,
    502: unavailable,
    503: unavailable,
    504: _timeout,
    505: not_offered,
}


def _by_class(status: int) -> _ErrorMaker:
    if 300 <= status < 400:
        return _redirected
    if 400 <= status < 500:
        return invalid
    # 520 to 530 are a proxy's own words for a server that it cannot reach.
    if 520 <= status <= 530:
        return unavailable
    return failed if 500 <= status < 600 else _unexpected
