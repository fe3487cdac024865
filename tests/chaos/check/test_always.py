"""Each check that always runs: the healthy run passes it, and each way to break its promise does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rpe.chaos.check import ALWAYS
from rpe.chaos.result import Status
from tests.support.runs import Told, add, change, check, drop, good_stream, good_unary, operation, plan_of

Spoil = Callable[[list[Told]], list[Told]]


def judged(name: str, spoil: Spoil, start: list[Told], **changes: Any) -> tuple[Status, str]:
    result = check(name, spoil(start), plan_of(**changes))
    return result.status, "\n".join((result.summary, *result.evidence))


@pytest.mark.parametrize("name", list(ALWAYS))
def test_a_run_in_which_all_went_well_passes_each_check(name: str) -> None:
    result = check(name, good_unary())

    assert result.status is Status.PASS, result
    assert result.name == name
    assert result.evidence == ()


@pytest.mark.parametrize("name", [name for name in ALWAYS if name != "load_floor"])
def test_a_run_of_good_streams_passes_each_check(name: str) -> None:
    assert check(name, good_stream()).status is Status.PASS


SPOILED: dict[str, list[tuple[str, Spoil, Status, str]]] = {
    "finished": [
        ("no end", lambda told: drop(told, "run.end"), Status.UNKNOWN, "stops before the end"),
        (
            "ended early",
            lambda told: change(told, "run.end", {}, reason="the world could not be entered"),
            Status.UNKNOWN,
            "the world could not be entered",
        ),
    ],
    "fault_fired": [
        ("never asked for", lambda told: drop(told, "fault.apply"), Status.UNKNOWN, "never applied"),
        ("not in force", lambda told: drop(told, "fault.applied"), Status.UNKNOWN, "did not come into force"),
        (
            "not read back",
            lambda told: change(told, "fault.applied", {}, verified=False),
            Status.UNKNOWN,
            "reading back",
        ),
        ("not healed", lambda told: drop(told, "fault.healed"), Status.UNKNOWN, "not healed"),
        ("not counted", lambda told: drop(told, "fault.fired"), Status.UNKNOWN, "nobody counted"),
        (
            "met nothing",
            lambda told: change(told, "fault.fired", {}, count=0),
            Status.UNKNOWN,
            "slow (latency on a): it never acted",
        ),
        (
            "failed",
            lambda told: add(told, (1.0, "fault.failed", {"fault": "slow", "error": "no such proxy"})),
            Status.UNKNOWN,
            "no such proxy",
        ),
    ],
    "load_floor": [
        (
            "too little",
            lambda told: good_unary(31),
            Status.UNKNOWN,
            "31 operations were started, the floor is 32",
        ),
        (
            "nothing",
            lambda told: drop(told, "operation.start", workload="calls"),
            Status.UNKNOWN,
            "calls: 40 planned, 0 started",
        ),
    ],
    "progress": [
        (
            "nothing works after the heal",
            lambda told: change_after(told, 2.1, outcome="failed", code="remote_timeout"),
            Status.FAIL,
            "none of 19 operations succeeded after the last heal",
        ),
        (
            "nothing was tried after the heal",
            lambda told: [event for event in told if event[0] < 2.0 or not event[1].startswith("operation")],
            Status.UNKNOWN,
            "no operation was started after the last heal",
        ),
        (
            "never healed",
            lambda told: drop(told, "fault.healed"),
            Status.UNKNOWN,
            "when the last fault was healed",
        ),
        (
            "a workload that never works",
            lambda told: add(told, *operation("bad-0", 3.0, outcome="failed", workload="bad")),
            Status.FAIL,
            "no operation of bad ever succeeded",
        ),
    ],
    "ends_once": [
        (
            "never ended",
            lambda told: drop(told, "operation.end", op="calls-3"),
            Status.FAIL,
            "calls-3 never ended",
        ),
        (
            "ended twice",
            lambda told: add(told, (3.0, "operation.end", {"op": "calls-3", "outcome": "failed"})),
            Status.FAIL,
            "calls-3 at a ended 2 times",
        ),
        (
            "ended without a start",
            lambda told: add(told, (3.0, "operation.end", {"op": "calls-99", "outcome": "ok"})),
            Status.FAIL,
            "calls-99 ended, but never started",
        ),
        ("nothing started", lambda told: [], Status.UNKNOWN, "no operation"),
    ],
    "deadline": [
        (
            "1.26 s for a deadline of 1 s and 0.25 s of slack",
            lambda told: add(
                drop(told, "operation.end", op="calls-3"),
                (0.3 + 1.26, "operation.end", {"op": "calls-3", "outcome": "ok"}),
            ),
            Status.FAIL,
            "at 0.300 s: calls-3 ended after 1.260 s, its deadline was 1.000 s",
        ),
        (
            "nothing ended",
            lambda told: [event for event in told if event[1] != "operation.end"],
            Status.UNKNOWN,
            "no operation with a deadline ended",
        ),
    ],
    "answer": [
        (
            "the answer to something else",
            lambda told: change(told, "operation.end", {"op": "calls-3"}, response_hash="answer-calls-4"),
            Status.FAIL,
            "calls-3 at a got answer-calls, the answer to it is answer-calls",
        ),
        (
            "the server answered another request",
            lambda told: change(
                told, "server.received", {"op": "calls-3"}, request_hash="request-of-someone-else"
            ),
            Status.FAIL,
            "calls-3 at a was answered by servers that had been asked something else",
        ),
        (
            "no journal",
            lambda told: [event for event in told if not event[1].startswith("server.")],
            Status.UNKNOWN,
            "40 of 40 answers cannot be compared",
        ),
        (
            "not what the load expected",
            lambda told: change(
                drop(told, "server.sent", op="calls-3"),
                "operation.start",
                {"op": "calls-3"},
                expected_hash="other",
            ),
            Status.FAIL,
            "the answer to it is other",
        ),
        (
            "no answer at all",
            lambda told: [event for event in told if event[1] != "operation.end"],
            Status.UNKNOWN,
            "no answer to look at",
        ),
    ],
    "outcome_known": [],
    "breaker": [
        (
            "an attempt while it is open",
            lambda told: add(told, *breaker_opens(0.85, "a")),
            Status.FAIL,
            "calls-9 attempt 1 at a started while its breaker was open, and is no probe",
        ),
        (
            "no attempts told",
            lambda told: [
                event for event in add(told, *breaker_opens(0.85, "a")) if not event[1].startswith("attempt")
            ],
            Status.UNKNOWN,
            "none of its attempts",
        ),
    ],
    "budget": [
        (
            "three attempts for each operation",
            lambda told: add(told, *more_attempts(told, 2)),
            Status.FAIL,
            "120 attempts for 40 operations, the budget allows 55",
        ),
        (
            "retries that only the servers saw",
            lambda told: add(told, *more_calls(told, 2)),
            Status.FAIL,
            "120 attempts for 40 operations",
        ),
        (
            "nothing told",
            lambda told: [event for event in told if not event[1].startswith(("attempt", "server"))],
            Status.UNKNOWN,
            "neither",
        ),
    ],
    "in_flight": [
        (
            "one is counted for ever",
            lambda told: change(told, "resource", {"when": "final"}, in_flight=1),
            Status.FAIL,
            "counts 1 attempts",
        ),
        (
            "less than none",
            lambda told: change(told, "resource", {"when": "final"}, in_flight=-1),
            Status.FAIL,
            "counts -1",
        ),
        ("nobody looked", lambda told: drop(told, "resource", when="final"), Status.UNKNOWN, "nobody looked"),
    ],
    "leaks": [
        *(
            (
                f"one of {name}",
                lambda told, name=name, held=held: change(
                    told, "resource", {"when": "final"}, **{name: held}
                ),
                Status.FAIL,
                name,
            )
            for name, held in {"tasks": 3, "sockets": 5, "children": 1, "fds": 19, "threads": 8}.items()
        ),
        (
            "nobody counted",
            lambda told: drop(told, "resource", when="baseline"),
            Status.UNKNOWN,
            "nobody counted",
        ),
        (
            "nothing could be counted",
            lambda told: change(
                told, "resource", {}, tasks=None, fds=None, threads=None, children=None, sockets=None
            ),
            Status.UNKNOWN,
            "nothing could be counted",
        ),
    ],
    "contract": [
        (
            "an error of the client itself",
            lambda told: add(told, (1.5, "subject.error", {"message": "raised KeyError in a callback"})),
            Status.FAIL,
            "at 1.500 s: raised KeyError in a callback",
        ),
    ],
}


def change_after(told: list[Told], after_s: float, **fields: Any) -> list[Told]:
    return [
        (t, name, {**old, **fields} if name == "operation.end" and t > after_s else old)
        for t, name, old in told
    ]


def breaker_opens(t: float, endpoint: str) -> list[Told]:
    return [(t, "breaker", {"endpoint": endpoint, "before": "closed", "after": "open", "cause": "failures"})]


def more_attempts(told: list[Told], times: int) -> list[Told]:
    return [
        (t + 0.001 * extra, name, {**fields, "attempt": 1 + extra})
        for t, name, fields in told
        if name in ("attempt.start", "attempt.end")
        for extra in range(1, times + 1)
    ]


def more_calls(told: list[Told], times: int) -> list[Told]:
    return [
        (t, name, {**fields, "call": f"{fields['call']}-{extra}"})
        for t, name, fields in told
        if name == "server.received"
        for extra in range(1, times + 1)
    ]


CASES = [
    pytest.param(name, spoil, status, told, id=f"{name}-{case}")
    for name, cases in SPOILED.items()
    for case, spoil, status, told in cases
]


@pytest.mark.parametrize(("name", "spoil", "status", "told"), CASES)
def test_a_spoiled_run_does_not_pass(name: str, spoil: Spoil, status: Status, told: str) -> None:
    found, text = judged(name, spoil, good_unary())

    assert found is status
    assert told in text


def test_each_check_has_its_spoiled_runs() -> None:
    assert set(SPOILED) == set(ALWAYS)


def test_evidence_is_cut_to_a_few_and_the_rest_is_counted() -> None:
    told = [event for event in good_unary() if event[1] != "operation.end"]

    result = check("ends_once", told)

    assert len(result.evidence) == 9
    assert result.evidence[-1] == "and 32 more"


def test_an_operation_may_use_its_deadline_and_the_slack() -> None:
    told = add(
        drop(good_unary(), "operation.end", op="calls-3"),
        (0.3 + 1.24, "operation.end", {"op": "calls-3", "outcome": "failed", "code": "remote_timeout"}),
    )

    assert check("deadline", told).status is Status.PASS
    assert check("deadline", told, plan_of(deadline_slack_s=0.1)).status is Status.FAIL


def test_the_slack_grows_with_the_deadline() -> None:
    assert plan_of().slack_s(1.0) == 0.25
    assert plan_of().slack_s(30.0) == pytest.approx(3.0)


def test_an_echo_that_no_journal_tells_of_is_compared_with_the_request() -> None:
    told = [event for event in good_unary() if not event[1].startswith("server.")]
    for number in range(40):
        told = change(
            told, "operation.end", {"op": f"calls-{number}"}, response_hash=f"request-calls-{number}"
        )

    assert check("answer", told, plan_of(manifest="echo")).status is Status.PASS
    assert check("answer", told, plan_of(manifest="gain")).status is Status.UNKNOWN


def test_a_workload_of_which_nothing_was_started_is_below_every_floor() -> None:
    workloads = [
        {"name": "calls", "kind": "unary", "rate_per_s": 10.0},
        {"name": "sessions", "kind": "stream", "sessions": 1},
    ]

    result = check("load_floor", good_unary(), plan_of(workload=workloads))

    assert result.status is Status.UNKNOWN
    assert "nothing was started of sessions" in result.summary


def test_a_scenario_can_set_its_own_floor() -> None:
    assert check("load_floor", good_unary(9), plan_of(floor={"operations": 10})).status is Status.UNKNOWN
    assert check("load_floor", good_unary(10), plan_of(floor={"operations": 10})).status is Status.PASS
