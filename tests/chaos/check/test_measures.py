"""Each measure, on histories small enough to count by hand."""

from __future__ import annotations

from typing import Any

import pytest

from rpe.chaos.check.measures import FILTERS, MEASURES
from rpe.chaos.result import Status
from tests.support.runs import Told, add, change, drop, good_stream, good_unary, measured, operation, plan_of


def value(measure: str, told: list[Told], **expectation: Any) -> float | None:
    return measured(told, measure=measure, **expectation).measured


def spoilt() -> list[Told]:
    """The good run, with one failed, one maybe and one slow operation while `slow` was in force."""
    told = change(
        good_unary(),
        "operation.end",
        {"op": "calls-12"},
        outcome="failed",
        code="connect_failed",
        error_kind="network",
        response_hash=None,
    )
    told = change(
        told,
        "operation.end",
        {"op": "calls-15"},
        outcome="maybe",
        code="remote_timeout",
        error_kind="timeout",
    )
    return change(told, "operation.end", {"op": "calls-13"}, latency_s=0.5)


def reported() -> list[Told]:
    """The good run, with a breaker that opens and closes, and health that turns twice."""
    return add(
        good_unary(),
        (1.3, "breaker", {"endpoint": "a", "before": "closed", "after": "open"}),
        (1.25, "health", {"endpoint": "a", "healthy": False}),
        (2.5, "health", {"endpoint": "a", "healthy": True}),
        (2.6, "breaker", {"endpoint": "a", "before": "open", "after": "half_open"}),
        (2.6, "attempt.start", {"op": "calls-26", "attempt": 2, "endpoint": "a", "probe": True}),
        (2.7, "breaker", {"endpoint": "a", "before": "half_open", "after": "closed"}),
    )


def second_attempts(remaining_s: float) -> list[Told]:
    """The good run, in which calls-1 needed two attempts; the second told its server `remaining_s`."""
    call = {"server": "c", "op": "calls-1", "attempt": 2, "call": 77, "method": "/rpe/Execute"}
    return add(
        good_unary(),
        (0.15, "server.received", {**call, "request_hash": "request-calls-1", "remaining_s": remaining_s}),
        (0.16, "server.sent", {**call, "response_hash": "answer-calls-1"}),
    )


# The window `slow` is really open from 1.05 s to 2.1 s: operations 11 to 20 are due in it.
COUNTED: list[tuple[str, list[Told], dict[str, Any], float]] = [
    ("operations", good_unary(), {}, 40),
    ("operations", good_unary(), {"during": "slow"}, 10),
    ("operations", good_unary(), {"during": "before"}, 10),
    ("operations", good_unary(), {"during": "after"}, 19),
    ("operations", good_unary(), {"during": "recovered"}, 10),
    ("operations", good_unary(), {"during": "slow", "from_s": 0.5}, 5),
    ("operations", good_unary(), {"during": "slow", "within_s": 0.5}, 5),
    ("operations", good_unary(), {"during": "slow", "from_s": 0.2, "within_s": 0.5}, 3),
    ("operations", good_unary(), {"workload": "calls"}, 40),
    ("success_ratio", spoilt(), {"during": "slow"}, 0.8),
    ("success_ratio", drop(good_unary(), "operation.end", op="calls-11"), {"during": "slow"}, 0.9),
    ("error_ratio", spoilt(), {"during": "slow"}, 0.2),
    ("maybe_ratio", spoilt(), {"during": "slow"}, 0.1),
    ("failures", spoilt(), {}, 2),
    ("failures", spoilt(), {"during": "after"}, 0),
    ("errors", spoilt(), {}, 2),
    ("errors", spoilt(), {"code": "connect_failed"}, 1),
    ("errors", spoilt(), {"code": "remote_timeout", "kind": "network"}, 0),
    ("errors", spoilt(), {"kind": "timeout"}, 1),
    ("errors", spoilt(), {"endpoint": "a"}, 2),
    ("errors", spoilt(), {"endpoint": "b"}, 0),
    ("missed", add(good_unary(), (1.5, "operation.missed", {"op": "calls-40", "due_s": 1.5})), {}, 1),
    (
        "missed",
        add(good_unary(), (1.5, "operation.missed", {"op": "calls-40", "due_s": 1.5})),
        {"during": "before"},
        0,
    ),
    ("latency_p50_s", spoilt(), {}, 0.01),
    ("latency_max_s", spoilt(), {}, 0.5),
    ("latency_p99_s", spoilt(), {"during": "slow"}, 0.5),
    ("latency_p90_s", spoilt(), {}, 0.01),
    ("latency_p95_s", spoilt(), {"endpoint": "b"}, 0.5),
    ("latency_max_s", spoilt(), {"endpoint": "c"}, 0.01),
    ("share", good_unary(), {"endpoint": "a"}, 14 / 40),
    (
        "share",
        change(good_unary(), "operation.end", {"endpoint": "a"}, endpoint=None),
        {"endpoint": "a"},
        14 / 40,
    ),
    ("attempts", good_unary(), {}, 40),
    ("attempts", good_unary(), {"endpoint": "a"}, 14),
    ("attempts", good_unary(), {"endpoint": "a", "during": "slow"}, 3),
    ("attempts", second_attempts(0.9), {"endpoint": "c"}, 14),
    (
        "attempts",
        [event for event in good_unary() if not event[1].startswith("attempt")],
        {"endpoint": "a"},
        14,
    ),
    (
        "attempts",
        [event for event in good_unary() if not event[1].startswith("server")],
        {"endpoint": "a"},
        14,
    ),
    ("attempts_per_operation", second_attempts(0.9), {}, 41 / 40),
    ("attempts_per_operation_max", second_attempts(0.9), {}, 2),
    ("executions_per_operation_max", good_unary(), {}, 1),
    ("executions_per_operation_max", second_attempts(0.9), {}, 2),
    ("sent_deadline_falls", second_attempts(0.9), {}, 1),
    ("sent_deadline_falls", second_attempts(0.99), {}, 0),
    ("sent_deadline_falls", second_attempts(1.0), {}, 0),
    ("breaker_opened", reported(), {}, 1),
    ("breaker_opened", reported(), {"endpoint": "b"}, 0),
    ("breaker_opened", good_unary(), {}, 0),
    ("breaker_closed", reported(), {"during": "after"}, 1),
    ("breaker_closed", reported(), {"during": "slow"}, 0),
    ("probes", reported(), {"endpoint": "a"}, 1),
    ("probes", reported(), {"endpoint": "b"}, 0),
    ("health_changes", reported(), {}, 2),
    ("health_changes", reported(), {"during": "slow", "endpoint": "a"}, 1),
    ("detect_s", reported(), {"during": "slow", "endpoint": "a"}, 0.2),
    ("time_to_first_success_s", good_unary(), {"during": "after"}, 0.01),
    ("time_to_first_success_s", spoilt(), {"during": "slow", "from_s": 0.12}, 0.14),
    ("streams_completed", good_stream(), {}, 4),
    ("streams_completed", good_stream(), {"during": "after"}, 1),
    ("streams_broken", change(good_stream(), "operation.end", {"op": "calls-2"}, outcome="failed"), {}, 1),
    ("streams_broken", drop(good_stream(), "operation.end", op="calls-2"), {}, 1),
    ("chunks_answered_ratio", good_stream(), {}, 1),
    ("chunks_answered_ratio", drop(good_stream(), "chunk.answered", op="calls-2", seq=1), {}, 0.95),
    ("chunks_on_time_ratio", good_stream(), {}, 1),
    ("chunks_on_time_ratio", good_stream(), {"on_time_s": 0.004}, 0),
    ("chunks_on_time_ratio", drop(good_stream(), "chunk.answered", op="calls-2", seq=1), {}, 0.95),
    ("duplicates", good_stream(), {}, 0),
    (
        "duplicates",
        add(good_stream(), (2.5, "chunk.answered", {"op": "calls-2", "seq": 1, "hash": "out-1"})),
        {},
        1,
    ),
]


@pytest.mark.parametrize(
    ("measure", "told", "expectation", "expected"),
    COUNTED,
    ids=[f"{measure}-{number}" for number, (measure, *_) in enumerate(COUNTED)],
)
def test_a_measure_counts_what_a_hand_counts(
    measure: str, told: list[Told], expectation: dict[str, Any], expected: float
) -> None:
    assert value(measure, told, **expectation) == pytest.approx(expected)


def test_every_measure_is_counted_here() -> None:
    assert {measure for measure, *_ in COUNTED} == set(MEASURES)


def test_the_share_of_answers_whose_giver_only_the_journals_know() -> None:
    told = good_unary()
    for endpoint in "abc":
        told = change(told, "operation.end", {"endpoint": endpoint}, endpoint=None)

    assert value("share", told, endpoint="a") == pytest.approx(14 / 40)


def test_a_workload_is_told_from_another() -> None:
    told = add(good_unary(), *operation("others-0", 3.0, workload="others", outcome="failed"))

    assert value("operations", told, workload="others") == 1
    assert value("success_ratio", told, workload="calls") == 1
    assert value("attempts", told, workload="others") == 1


CANNOT_BE_MEASURED = [
    (name, {"endpoint": "a"} if "endpoint" in measure.needs else {})
    for name, measure in MEASURES.items()
    if name not in ("operations", "missed")
]


@pytest.mark.parametrize(("name", "needed"), CANNOT_BE_MEASURED)
def test_where_there_is_nothing_to_measure_it_is_unknown_and_never_a_pass(
    name: str, needed: dict[str, Any]
) -> None:
    frame = [event for event in good_unary(0) if not event[1].startswith(("attempt", "server"))]

    result = measured(frame, measure=name, **needed)

    assert result.status is Status.UNKNOWN
    assert result.measured is None
    assert "nothing to measure" in result.summary


@pytest.mark.parametrize("during", ["slow", "before", "after", "recovered"])
def test_a_window_that_never_opened_is_unknown(during: str) -> None:
    told = drop(drop(good_unary(), "window.open", window="slow"), "window.open", window="recovered")

    result = measured(told, measure="operations", during=during)

    assert result.status is Status.UNKNOWN
    assert "never open" in result.summary


def test_a_window_that_never_closed_is_open_to_the_end() -> None:
    told = drop(good_unary(), "window.close", window="slow")

    assert value("operations", told, during="slow") == 29


def test_an_expectation_tells_what_was_measured_and_what_was_wanted() -> None:
    result = measured(spoilt(), measure="success_ratio", during="slow", at_least=0.9)

    assert result.status is Status.FAIL
    assert (result.name, result.window) == ("expect success_ratio during slow", "slow")
    assert (result.measured, result.wanted) == (0.8, ">= 0.9")
    assert result.summary == "0.8 from 1.050 s to 2.100 s, wanted >= 0.9"
    assert result.evidence == (
        "at 1.200 s: calls-12 at a ended failed (connect_failed) after 0.010 s",
        "at 1.500 s: calls-15 at a ended maybe (remote_timeout) after 0.010 s",
    )


def test_a_slow_run_shows_its_slowest_operations() -> None:
    told = change(good_unary(), "operation.end", {"op": "calls-13"}, latency_s=0.5)

    result = measured(told, measure="latency_max_s", at_most=0.1)

    assert result.status is Status.FAIL
    assert "calls-13" in result.evidence[0]


@pytest.mark.parametrize(
    ("bounds", "status"),
    [
        ({"at_least": 40}, Status.PASS),
        ({"at_least": 41}, Status.FAIL),
        ({"at_most": 40}, Status.PASS),
        ({"at_most": 39}, Status.FAIL),
        ({"at_least": 39, "at_most": 41}, Status.PASS),
        ({"equals": 40}, Status.PASS),
        ({"equals": 41}, Status.FAIL),
    ],
)
def test_each_bound_is_kept_or_broken(bounds: dict[str, Any], status: Status) -> None:
    assert measured(good_unary(), measure="operations", **bounds).status is status


def test_every_measure_is_explained_and_takes_known_filters_only() -> None:
    for measure in MEASURES.values():
        assert measure.description.endswith((".", ")."))
        assert measure.needs <= measure.takes <= set(FILTERS)


def test_a_run_that_lasts_longer_than_planned_is_measured_to_its_end() -> None:
    told = add(
        drop(good_unary(), "run.end"), *operation("calls-40", 4.5), (4.9, "run.end", {"reason": "finished"})
    )

    assert measured(told, plan_of(), measure="operations").measured == 41
