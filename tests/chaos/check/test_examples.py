"""What a broken expectation shows explains its value."""

from __future__ import annotations

from typing import Any

import pytest

from rpe.chaos.check.measures import MEASURES
from rpe.chaos.result import Status
from tests.support.runs import Told, add, change, drop, good_stream, good_unary, measured, plan_of


def second_attempt() -> list[Told]:
    call = {"server": "c", "op": "calls-13", "attempt": 2, "call": 77, "method": "/rpe/Execute"}
    return add(good_unary(), (1.35, "server.received", {**call, "request_hash": "request-calls-13"}))


def breaker_opened() -> list[Told]:
    return add(good_unary(), (1.3, "breaker", {"endpoint": "a", "before": "closed", "after": "open"}))


SHOWN: list[tuple[str, list[Told], dict[str, Any], str]] = [
    (
        "failures",
        change(good_unary(), "operation.end", {"op": "calls-13"}, outcome="maybe", code="remote_timeout"),
        {},
        "at 1.300 s: calls-13 at b ended maybe (remote_timeout) after 0.010 s",
    ),
    (
        "failures",
        drop(good_unary(), "operation.end", op="calls-13"),
        {},
        "at 1.300 s: calls-13 never ended",
    ),
    (
        "latency_max_s",
        change(good_unary(), "operation.end", {"op": "calls-13"}, latency_s=0.6),
        {"endpoint": "b"},
        "at 1.300 s: calls-13 at b was answered 0.600 s after it was due",
    ),
    ("attempts", second_attempt(), {"endpoint": "c"}, "c: 5 attempts"),
    ("attempts_per_operation_max", second_attempt(), {}, "calls-13: b at 1.300 s, c at 1.350 s"),
    ("share", good_unary(), {"endpoint": "a"}, "a: 3 answers"),
    ("breaker_opened", breaker_opened(), {}, "at 1.300 s: the breaker of a went from closed to open"),
    (
        "health_changes",
        add(good_unary(), (1.3, "health", {"endpoint": "a", "healthy": False})),
        {},
        "at 1.300 s: a was found unwell",
    ),
    (
        "probes",
        add(breaker_opened(), (1.9, "attempt.start", {"op": "x-1", "endpoint": "a", "probe": True})),
        {},
        "at 1.900 s: x-1 probed a",
    ),
]


@pytest.mark.parametrize(("measure", "told", "filters", "shown"), SHOWN)
def test_the_events_that_explain_a_value_are_shown(
    measure: str, told: list[Told], filters: dict[str, Any], shown: str
) -> None:
    result = measured(told, measure=measure, during="slow", equals=-1, **filters)

    assert result.status is Status.FAIL
    assert shown in result.evidence
    assert len(result.evidence) <= 9


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        (
            drop(good_stream(), "chunk.answered", op="calls-2", seq=1),
            "at 2.020 s: calls-2 chunk 1 was never answered",
        ),
        (
            add(good_stream(), (2.5, "chunk.answered", {"op": "calls-2", "seq": 1, "hash": "out-1"})),
            "at 2.020 s: calls-2 chunk 1 was answered 2 times",
        ),
        (
            add(
                drop(good_stream(), "chunk.answered", op="calls-2", seq=1),
                (2.52, "chunk.answered", {"op": "calls-2", "seq": 1, "hash": "out-1"}),
            ),
            "at 2.020 s: calls-2 chunk 1 was answered 0.500 s after it was due",
        ),
    ],
)
def test_of_chunks_the_worst_are_shown(told: list[Told], shown: str) -> None:
    result = measured(told, measure="chunks_on_time_ratio", equals=-1)

    assert result.evidence[0] == shown


@pytest.mark.parametrize("name", list(MEASURES))
def test_every_measure_can_be_broken_and_shown(name: str) -> None:
    told = (
        good_stream() if MEASURES[name].shows == "chunks" or name.startswith("streams") else breaker_opened()
    )
    needed = {"endpoint": "a"} if "endpoint" in MEASURES[name].needs else {}
    if name == "sent_deadline_falls":
        told = second_attempt()
        told = change(told, "server.received", {"attempt": 2}, remaining_s=0.5)
    if name == "health_changes":
        told = add(told, (1.3, "health", {"endpoint": "a", "healthy": False}))

    assert measured(told, plan_of(), measure=name, equals=-1, **needed).status is Status.FAIL
