"""outcome_known: what must not be repeated is done at most once, and never denied."""

from __future__ import annotations

from rpe.chaos.result import Status
from tests.support.runs import Told, add, change, check, drop, good_unary, operation


def single(*, outcome: str = "ok", code: str = "ok") -> list[Told]:
    return add(good_unary(), *operation("once-0", 3.5, repeatable=False, outcome=outcome, code=code))


def done_at(t: float, server: str, call: int = 1) -> list[Told]:
    fields = {"server": server, "op": "once-0", "attempt": 2, "call": call, "method": "/rpe/Execute"}
    return [
        (t, "server.received", {**fields, "request_hash": "request-once-0"}),
        (t + 0.001, "server.sent", {**fields, "response_hash": "answer-once-0"}),
    ]


def test_done_once_and_told_so() -> None:
    assert check("outcome_known", single()).status is Status.PASS


def test_a_load_that_may_be_repeated_is_not_held_to_it() -> None:
    twice = [
        (t, name, {**fields, "op": "calls-3"} if name.startswith("server.") else fields)
        for t, name, fields in done_at(0.31, "b")
    ]

    result = check("outcome_known", add(good_unary(), *twice))

    assert result.status is Status.PASS
    assert "not applicable" in result.summary


def test_done_twice_is_a_failure_whatever_the_caller_was_told() -> None:
    for outcome in ("ok", "maybe", "failed"):
        told = add(single(outcome=outcome), *done_at(3.6, "b"), *done_at(3.7, "c"))

        result = check("outcome_known", told)

        assert result.status is Status.FAIL
        assert "once-0 at a must not be repeated, but was done" in result.evidence[0]
        assert "b at 3.601 s" in result.evidence[0]


def test_a_restarted_server_counts_its_calls_from_one_again() -> None:
    told = add(single(outcome="maybe"), *done_at(3.6, "b", call=1), *done_at(3.7, "b", call=1))

    result = check("outcome_known", told)

    assert result.status is Status.FAIL
    assert "done 2 times" in result.evidence[0]


def test_denied_although_it_was_done() -> None:
    told = add(single(outcome="failed", code="connection_lost"), *done_at(3.6, "b"))

    result = check("outcome_known", told)

    assert result.status is Status.FAIL
    assert "was reported as not done (connection_lost), but was done: b at 3.601 s" in result.evidence[0]


def test_maybe_is_an_honest_answer_whether_it_was_done_or_not() -> None:
    assert check("outcome_known", single(outcome="maybe")).status is Status.PASS
    assert check("outcome_known", add(single(outcome="maybe"), *done_at(3.6, "b"))).status is Status.PASS


def test_a_client_that_was_cut_off_from_outside_claims_nothing() -> None:
    told = add(single(outcome="failed", code="overran"), *done_at(3.6, "b"))

    assert check("outcome_known", told).status is Status.PASS


def test_failed_and_not_done_is_well_told() -> None:
    assert check("outcome_known", single(outcome="failed", code="connect_failed")).status is Status.PASS


def test_without_journals_it_cannot_be_told() -> None:
    told = [event for event in single() if not event[1].startswith("server.")]

    assert check("outcome_known", told).status is Status.UNKNOWN


def test_a_call_whose_answer_was_lost_was_done_all_the_same() -> None:
    told = change(single(), "operation.end", {"op": "once-0"}, outcome="failed", code="remote_unavailable")

    assert check("outcome_known", told).status is Status.FAIL
    assert check("outcome_known", drop(told, "server.sent", op="once-0")).status is Status.PASS
