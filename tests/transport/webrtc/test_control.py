"""OPEN and RESET: what is written is read again, and what is no such thing is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpe.transport.serving import Refusal, StatusCode
from rpe.transport.webrtc.control import LARGEST_CONTROL, Opening, Reset, going_away, refused
from rpe.transport.webrtc.framing import FramingError

keys = st.text(st.characters(codec="ascii", categories=("Ll", "Nd")), min_size=1, max_size=12)


@given(
    st.sampled_from(["execute", "stream"]),
    st.none() | st.integers(0, 2**40),
    st.lists(st.tuples(keys, st.text(max_size=20)), max_size=4),
    st.booleans(),
)
def test_an_opening_is_read_as_it_was_written(
    kind: Any, timeout_ms: int | None, metadata: list[tuple[str, str]], lossy: bool
) -> None:
    opening = Opening(kind, timeout_ms, tuple(metadata), lossy)
    assert Opening.decode(opening.encode()) == opening


@given(
    st.sampled_from(StatusCode),
    st.text(max_size=50),
    st.none() | st.floats(-1, 1000),
    st.dictionaries(keys, st.text(max_size=20), max_size=3),
    st.booleans(),
)
def test_a_reset_is_read_as_it_was_written(
    status: StatusCode, message: str, after_s: float | None, metadata: dict[str, str], untouched: bool
) -> None:
    reset = Reset(status, message, after_s, metadata, untouched)
    assert Reset.decode(reset.encode()) == reset


@given(st.binary(max_size=100))
def test_rubbish_is_refused(rubbish: bytes) -> None:
    for kind in (Opening, Reset):
        with pytest.raises(FramingError):
            kind.decode(b"\x00" + rubbish)


@pytest.mark.parametrize(
    "form",
    [
        [],
        {},
        {"kind": "other"},
        {"kind": "execute", "timeout_ms": -1},
        {"kind": "execute", "timeout_ms": 1.5},
        {"kind": "execute", "timeout_ms": True},
        {"kind": "execute", "metadata": {"a": "b"}},
        {"kind": "execute", "metadata": [["a", 1]]},
        {"kind": "execute", "metadata": [["a"]]},
        {"kind": "execute", "lossy": "yes"},
    ],
)
def test_an_opening_of_another_shape_is_refused(form: Any) -> None:
    with pytest.raises(FramingError):
        Opening.decode(json.dumps(form).encode())


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"status": 3},
        {"status": "internal", "message": 3},
        {"status": "internal", "retry_after_s": "soon"},
        {"status": "internal", "metadata": {"a": 1}},
    ],
)
def test_a_reset_of_another_shape_is_refused(form: Any) -> None:
    with pytest.raises(FramingError):
        Reset.decode(json.dumps(form).encode())


def test_a_status_of_another_version_is_unknown_and_named() -> None:
    reset = Reset.decode(b'{"status": "teapot", "message": "short and stout"}')
    assert (reset.status, reset.message) == (StatusCode.UNKNOWN, "teapot: short and stout")


def test_what_is_too_large_is_not_sent_and_not_read() -> None:
    with pytest.raises(FramingError, match="cannot be sent"):
        Opening("execute", metadata=(("a", "x" * LARGEST_CONTROL),)).encode()
    with pytest.raises(FramingError, match="at most"):
        Opening.decode(json.dumps({"kind": "execute", "x": "x" * LARGEST_CONTROL}).encode())
    long = Reset(StatusCode.INTERNAL, "\N{SNOWMAN}" * 100_000, metadata={"a": "x" * 100_000}).encode()
    assert len(long) <= LARGEST_CONTROL
    assert Reset.decode(long).status is StatusCode.INTERNAL


def test_metadata_is_not_in_the_text_of_an_opening() -> None:
    assert "s3cret" not in repr(Opening("execute", metadata=(("authorization", "s3cret"),)))
    read = Opening.decode(b'{"kind": "execute", "metadata": [["Upper", "Case"]]}')
    assert read.metadata == (("upper", "Case"),)


def test_a_refusal_keeps_everything_on_its_way() -> None:
    reset = refused(Refusal(StatusCode.UNAVAILABLE, "later", retry_after_s=0.5, metadata={"x-zone": "b"}))
    assert Reset.decode(reset.encode()) == Reset(StatusCode.UNAVAILABLE, "later", 0.5, {"x-zone": "b"})
    assert not reset.untouched
    assert going_away().untouched
