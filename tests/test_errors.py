"""The errors as their readers meet them: every class answers the same questions, and none tells a secret."""

from __future__ import annotations

import pytest

from rpe import errors
from rpe.errors import AttemptSummary, ErrorKind, RemoteTimeout, RpeError, StreamBroken, redact


def subclasses(of: type[RpeError]) -> set[type[RpeError]]:
    found = {of}
    for one in of.__subclasses__():
        found |= subclasses(one)
    return found


CLASSES = sorted(
    (one for one in subclasses(RpeError) if one.__module__ == "rpe.errors"), key=lambda c: c.__name__
)


def test_the_classes_that_were_asked_for_are_there() -> None:
    asked = {
        "RemoteExecutionFailed",
        "RemoteTimeout",
        "CircuitBreakerOpen",
        "AllEndpointsFailed",
        "ManifestFetchFailed",
    }
    assert asked <= {one.__name__ for one in CLASSES}
    assert {one.__name__ for one in CLASSES} <= set(errors.__all__)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_class_says_whose_fault_it_is_and_what_may_be_done(kind: type[RpeError]) -> None:
    error = kind("it broke", endpoint="10.0.0.1:1", node="stt", hint="mend it")
    assert isinstance(error.kind, ErrorKind)
    assert isinstance(error.retryable, bool)
    assert isinstance(error.maybe_executed, bool)
    for part in (kind.code, "it broke", "endpoint 10.0.0.1:1", "node stt", "hint: mend it"):
        assert part in str(error)


def test_codes_are_stable_and_told_apart() -> None:
    codes = [one.code for one in CLASSES]
    assert len(set(codes)) == len(codes)
    assert RemoteTimeout.code == "remote_timeout"


def test_an_instance_may_know_better_than_its_class() -> None:
    assert RemoteTimeout("x").maybe_executed
    assert not RemoteTimeout("x", maybe_executed=False).maybe_executed
    assert not RemoteTimeout("x", retryable=False).retryable


def test_a_broken_stream_tells_what_was_answered() -> None:
    assert StreamBroken("cut", last_sequence=7).last_sequence == 7


def test_attempts_are_listed_with_their_reasons() -> None:
    attempt = AttemptSummary(2, "b:1", "failure", "connect_failed", "refused", 0.25, 0.01)
    text = str(RemoteTimeout("late", attempts=[attempt]))
    assert "#2 b:1 at +0.250s for 0.010s: connect_failed: refused" in text


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer s3cret",
        "token=s3cret&x=1",
        '{"auth_token": "s3cret"}',
        "password: s3cret",
        "api_key = s3cret",
        "authorization:bearer s3cret",
    ],
)
def test_credentials_are_taken_out_of_foreign_text(text: str) -> None:
    assert "s3cret" not in redact(text)
    assert "[redacted]" in redact(text)


def test_other_text_is_left_alone() -> None:
    assert redact("Socket closed after 3 tokens were read") == "Socket closed after 3 tokens were read"
