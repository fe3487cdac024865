"""What the statuses, error bodies and hints of servers mean."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from rpe.errors import (
    AuthenticationFailed,
    ConnectionLost,
    InvalidRequest,
    ProtocolViolation,
    RemoteExecutionFailed,
    RemoteOverloaded,
    RemoteTimeout,
    RemoteUnavailable,
    RpeError,
)
from rpe.transport.http.status import answer_error, event_error, network_error, retry_after_s

WHERE = "10.0.0.1:80"
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


def error(status: int, body: Any = b"", **headers: str) -> RpeError:
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = answer_error(
        status, {name.replace("_", "-"): value for name, value in headers.items()}, payload, WHERE
    )
    assert found.endpoint == WHERE
    return found


@pytest.mark.parametrize(
    ("status", "kind", "maybe_executed"),
    [
        (101, ProtocolViolation, True),
        (201, ProtocolViolation, True),
        (204, ProtocolViolation, True),
        (301, ProtocolViolation, False),
        (304, ProtocolViolation, False),
        (400, InvalidRequest, False),
        (401, AuthenticationFailed, False),
        (402, InvalidRequest, False),
        (403, AuthenticationFailed, False),
        (404, InvalidRequest, False),
        (405, ProtocolViolation, False),
        (407, AuthenticationFailed, False),
        (408, RemoteTimeout, True),
        (409, RemoteExecutionFailed, True),
        (413, InvalidRequest, False),
        (415, InvalidRequest, False),
        (422, InvalidRequest, False),
        (425, RemoteOverloaded, False),
        (429, RemoteOverloaded, False),
        (431, InvalidRequest, False),
        (499, ConnectionLost, True),
        (500, RemoteExecutionFailed, True),
        (501, ProtocolViolation, False),
        (502, RemoteUnavailable, True),
        (503, RemoteUnavailable, True),
        (504, RemoteTimeout, True),
        (505, ProtocolViolation, False),
        (507, RemoteExecutionFailed, True),
        (522, RemoteUnavailable, True),
        (599, RemoteExecutionFailed, True),
        (999, ProtocolViolation, True),
    ],
)
def test_each_status(status: int, kind: type[RpeError], maybe_executed: bool) -> None:
    found = error(status)
    assert type(found) is kind
    assert found.maybe_executed is maybe_executed
    assert str(status) in found.message


@pytest.mark.parametrize("status", [400, 500])
@pytest.mark.parametrize(
    ("fields", "kind", "error_type"),
    [
        ({"error_type": "validation"}, InvalidRequest, None),
        ({"error_type": "manifest"}, InvalidRequest, None),
        ({"error_type": "input"}, InvalidRequest, None),
        ({"error_type": "execution"}, RemoteExecutionFailed, "execution"),
        ({"error_type": "execution", "rpe_error_type": "internal"}, RemoteExecutionFailed, "internal"),
        ({"error_type": "validation", "rpe_error_type": "authentication"}, AuthenticationFailed, None),
    ],
)
def test_the_words_of_the_contract_say_more_than_the_status(
    status: int, fields: dict[str, Any], kind: type[RpeError], error_type: str | None
) -> None:
    found = error(status, {**fields, "message": "told", "node_id": "n1"})
    assert type(found) is kind
    assert "told" in found.message
    assert found.node == "n1"
    assert getattr(found, "error_type", None) == error_type


def test_validation_errors_are_told() -> None:
    body = {"error_type": "validation", "message": "bad", "validation_errors": ["a is missing", {"b": 1}]}
    assert "bad (a is missing; {'b': 1})" in error(400, body).message


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>gateway</html>", b"null", b"[]", b'"text"', b"\xff\xfe", b"[" * 10_000, b'{"message": 7}'],
    ids=lambda body: repr(body[:12]),
)
def test_any_body_will_do(body: bytes) -> None:
    assert type(error(502, body)) is RemoteUnavailable
    assert type(error(500, body)) is RemoteExecutionFailed
    assert type(event_error(body.decode("utf-8", "replace"), WHERE)) is RemoteExecutionFailed


@given(st.integers(100, 999), st.binary(max_size=200), st.text(max_size=30))
def test_no_answer_is_beyond_it(status: int, body: bytes, hint: str) -> None:
    assert isinstance(error(status, body, Retry_After=hint, Date=hint), RpeError)


@given(st.text(max_size=200))
def test_no_event_is_beyond_it(data: str) -> None:
    assert isinstance(event_error(data, WHERE), RpeError)


def test_secrets_are_taken_out_and_long_words_are_clipped() -> None:
    for body in ({"message": "Bearer abc.def " + "x" * 9000}, b"password=hunter2 " + b"x" * 9000):
        text = str(error(500, body))
        assert "abc.def" not in text
        assert "hunter2" not in text
        assert len(text) < 900


@pytest.mark.parametrize(
    ("headers", "hint_s"),
    [
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "1"}, 1.0),
        ({"Retry-After": " 120 "}, 120.0),
        ({"Retry-After": "86400"}, 86_400.0),
        ({"Retry-After": "9999999999"}, 9_999_999_999.0),
        ({"Retry-After": "9" * 5000}, 999_999_999_999_999.0),
        ({"Retry-After": "Sun, 06 Nov 1994 08:50:07 GMT", "Date": DATE}, 30.0),
        ({"Retry-After": "Sun, 06 Nov 1994 08:49:07 GMT", "Date": DATE}, 0.0),
        ({"Retry-After": "Sun, 06 Nov 1994 08:50:07 -0000", "Date": DATE}, 30.0),
        ({"Retry-After": "Sunday, 06-Nov-94 08:50:07 GMT", "Date": DATE}, 30.0),
        ({"Retry-After": "Sun, 06 Nov 1994 09:50:07 +0100", "Date": DATE}, 30.0),
        ({"Retry-After": "Sun, 06 Nov 1994 08:50:07 GMT"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "1.5"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "\u0663"}, None),
        ({"Retry-After": ""}, None),
        ({}, None),
        ({"rpe-retry-after-ms": "250", "Retry-After": "1"}, 0.25),
        ({"rpe-retry-after-ms": "-1", "Retry-After": "1"}, -1.0),
        ({"rpe-retry-after-ms": "junk", "Retry-After": "1"}, 1.0),
        ({"rpe-retry-after-ms": "9" * 5000, "Retry-After": "1"}, 1.0),
    ],
)
def test_the_retry_hint(headers: dict[str, str], hint_s: float | None) -> None:
    assert retry_after_s(headers) == hint_s
    for status in (429, 503):
        found = answer_error(status, headers, b"", WHERE)
        if hint_s is None and status == 503:
            assert type(found) is RemoteUnavailable
        else:
            assert isinstance(found, RemoteOverloaded)
            assert found.retry_after_s == hint_s


def test_an_error_event_of_another_server_is_read_by_its_words() -> None:
    for told, kind in (("validation", InvalidRequest), ("execution", RemoteExecutionFailed)):
        found = event_error(json.dumps({"error_type": told, "message": "why"}), WHERE)
        assert type(found) is kind
        assert "why" in found.message


def test_an_error_event_of_ours_keeps_its_status_and_hint() -> None:
    fields = {
        "error_type": "execution",
        "message": "full",
        "rpe_http_status": 503,
        "rpe_retry_after_ms": "250",
    }
    found = event_error(json.dumps(fields), WHERE)
    assert isinstance(found, RemoteOverloaded)
    assert found.retry_after_s == 0.25


def test_the_request_of_a_foreign_error_is_not_shown() -> None:
    headers = CIMultiDictProxy(CIMultiDict({"Authorization": "Bearer planted-s3cret"}))
    url = URL("http://here:1/execute")
    foreign = aiohttp.ClientResponseError(
        aiohttp.RequestInfo(url, "POST", headers, url), (), message="no HTTP"
    )
    assert "planted-s3cret" in repr(foreign)
    assert isinstance(network_error(foreign, "here:1"), ProtocolViolation)
    assert "planted-s3cret" not in repr(foreign) + repr(vars(foreign)) + repr(foreign.args)
