"""A machine that stands still for a moment is not held against the client."""

from __future__ import annotations

from rpe.chaos.result import Status
from tests.support.runs import Told, add, change, good_unary, measured


def two_attempts(first_arrival_s: float, first_remaining_s: float) -> list[Told]:
    """A run in which an operation makes a second attempt after 0.45 s, with 0.25 s on its way."""
    call = {"server": "b", "op": "calls-0", "attempt": 2, "call": "again", "method": "/rpe/Execute"}
    told = change(good_unary(), "server.received", {"op": "calls-0"}, remaining_s=first_remaining_s)
    told = [
        (first_arrival_s if (name, fields.get("op")) == ("server.received", "calls-0") else t, name, fields)
        for t, name, fields in told
    ]
    again = {"op": "calls-0", "attempt": 2, "endpoint": "b", "probe": False}
    return add(
        told,
        (0.45, "attempt.start", again),
        (0.451, "server.received", {**call, "remaining_s": 0.25}),
    )


def test_a_request_that_arrives_late_was_still_sent_with_the_longer_deadline() -> None:
    # Sent with 0.5 s at zero, it arrives when 0.1 s is left: less than the second attempt is given.
    late = two_attempts(first_arrival_s=0.4, first_remaining_s=0.1)
    assert measured(late, measure="sent_deadline_falls", equals=1).status is Status.PASS


def test_a_deadline_that_was_sent_shorter_is_seen_as_that() -> None:
    prompt = two_attempts(first_arrival_s=0.001, first_remaining_s=0.1)
    assert measured(prompt, measure="sent_deadline_falls", equals=1).status is Status.FAIL
