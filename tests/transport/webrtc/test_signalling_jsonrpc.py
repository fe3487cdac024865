"""JSON-RPC as text: what is read of every kind of message, and what is written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpe.transport.webrtc.signalling.errors import Code
from rpe.transport.webrtc.signalling.jsonrpc import Call, Malformed, Outcome, call_text, outcome_text, read

ids = st.one_of(st.integers(-(2**53), 2**53), st.text(max_size=8))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(st.text(), st.dictionaries(st.text(max_size=5), values, max_size=4), st.integers(0, 2**31))
def test_a_call_is_read_as_it_was_written(method: str, params: dict[str, Any], number: int) -> None:
    assert read(call_text(method, params, number)) == ([Call(method, params, number)], False)
    assert read(call_text(method, params)) == ([Call(method, params, None, wants_answer=False)], False)


@given(ids, values)
def test_an_outcome_is_read_as_it_was_written(call_id: int | str, result: Any) -> None:
    assert read(outcome_text(Outcome(call_id, result))) == ([Outcome(call_id, result)], False)
    failed = Outcome(call_id, error=(-32000, "no such peer"))
    assert read(outcome_text(failed)) == ([failed], False)


@given(st.text() | values.map(json.dumps))
def test_nothing_that_arrives_raises(text: str) -> None:
    messages, _ = read(text)
    assert messages


@pytest.mark.parametrize(
    ("text", "call_id", "code"),
    [
        ("", None, Code.PARSE_ERROR),
        ("hello", None, Code.PARSE_ERROR),
        ('{"jsonrpc": "2.0", "method": "peer.list", "id": NaN}', None, Code.PARSE_ERROR),
        ("[" * 100_000, None, Code.PARSE_ERROR),
        ('{"jsonrpc": "2.0", "method": "m", "params": {"sdp": "\\ud800"}}', None, Code.PARSE_ERROR),
        ("[]", None, Code.INVALID_REQUEST),
        ("7", None, Code.INVALID_REQUEST),
        ("{}", None, Code.INVALID_REQUEST),
        ('{"jsonrpc": "1.0", "method": "m", "id": 3}', 3, Code.INVALID_REQUEST),
        ('{"method": "m", "id": "x"}', "x", Code.INVALID_REQUEST),
        ('{"jsonrpc": "2.0", "method": 5, "id": 3}', 3, Code.INVALID_REQUEST),
        ('{"jsonrpc": "2.0", "method": "m", "id": {}}', None, Code.INVALID_REQUEST),
        ('{"jsonrpc": "2.0", "method": "m", "id": true}', None, Code.INVALID_REQUEST),
        ('{"jsonrpc": "2.0", "method": "m", "params": 5, "id": 3}', 3, Code.INVALID_REQUEST),
        ('{"jsonrpc": "2.0", "method": "m", "params": [1], "id": 3}', 3, Code.INVALID_PARAMS),
        ('{"jsonrpc": "2.0", "id": 3}', 3, Code.INVALID_REQUEST),
        ('{"jsonrpc": "2.0", "id": 3, "result": 1, "error": {"code": 1}}', 3, Code.INVALID_REQUEST),
        ('{"jsonrpc": "2.0", "id": 3, "error": "no"}', 3, Code.INVALID_REQUEST),
        ('{"jsonrpc": "2.0", "id": 3, "error": {"code": "no"}}', 3, Code.INVALID_REQUEST),
    ],
)
def test_what_is_no_message_is_told_apart(text: str, call_id: object, code: int) -> None:
    messages, batch = read(text)
    assert not batch
    (found,) = messages
    assert isinstance(found, Malformed)
    assert (found.id, found.error[0]) == (call_id, code)


def test_a_whole_pair_of_surrogates_is_text() -> None:
    (call,), _ = read('{"jsonrpc": "2.0", "method": "m", "params": {"name": "\\ud83d\\ude00"}}')
    assert isinstance(call, Call)
    assert call.params == {"name": "\U0001f600"}


def test_a_batch_is_read_item_by_item() -> None:
    first, second = call_text("a", {}, 1), call_text("b", {})
    messages, batch = read(f"[{first}, 1, {second}]")
    assert batch
    assert [type(message) for message in messages] == [Call, Malformed, Call]
