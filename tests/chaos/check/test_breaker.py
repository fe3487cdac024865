"""breaker: an endpoint whose breaker is open gets probes only, and few of them."""

from __future__ import annotations

from typing import Any

import pytest

from rpe.chaos.result import Status
from tests.support.runs import Told, check, good_unary, history, plan_of


def started(t: float, attempt: int, *, probe: bool = False, took_s: float = 0.01) -> list[Told]:
    fields: dict[str, Any] = {"op": f"calls-{attempt}", "attempt": attempt, "endpoint": "a", "probe": probe}
    return [(t, "attempt.start", fields), (t + took_s, "attempt.end", {**fields, "outcome": "success"})]


def turned(t: float, before: str, after: str) -> Told:
    return (t, "breaker", {"endpoint": "a", "before": before, "after": after, "cause": "failures"})


def life(*events: Told) -> list[Told]:
    return sorted(events, key=lambda event: event[0])


def cycle(*more: Told) -> list[Told]:
    """A breaker opens at 1 s, probes at 2 s and at 2.1 s, and closes."""
    return life(
        *started(0.5, 1),
        turned(1.0, "closed", "open"),
        turned(2.0, "open", "half_open"),
        *started(2.0, 2, probe=True),
        *started(2.1, 3, probe=True),
        turned(2.2, "half_open", "closed"),
        *started(2.3, 4),
        *more,
    )


def test_a_whole_cycle_passes() -> None:
    result = check("breaker", cycle())

    assert result.status is Status.PASS
    assert result.summary == "breakers opened 1 times, and let only probes through"


@pytest.mark.parametrize(("t", "state"), [(1.5, "open"), (2.05, "half_open")])
def test_an_ordinary_attempt_at_a_breaker_that_is_not_closed(t: float, state: str) -> None:
    result = check("breaker", cycle(*started(t, 9)))

    assert result.status is Status.FAIL
    assert f"attempt 9 at a started while its breaker was {state}" in result.evidence[0]


def test_a_forced_probe_of_an_open_breaker_passes() -> None:
    assert check("breaker", cycle(*started(1.5, 9, probe=True))).status is Status.PASS


def test_a_stampede_of_probes_in_half_open() -> None:
    crowd = [event for number in range(10, 20) for event in started(2.01, number, probe=True, took_s=0.1)]

    result = check("breaker", cycle(*crowd))

    assert result.status is Status.FAIL
    assert "at the same time" in result.evidence[0]


def test_as_many_probes_at_a_time_as_must_succeed_are_allowed() -> None:
    pair = [*started(2.02, 10, probe=True, took_s=0.05), *started(2.03, 11, probe=True, took_s=0.05)]

    assert check("breaker", cycle(*pair)).status is Status.PASS
    strict = plan_of(client={"breaker": {"success_threshold": 1}})
    assert check("breaker", cycle(*pair), strict).status is Status.FAIL


def test_within_one_instant_the_order_of_the_events_counts() -> None:
    before = [*started(1.0, 8), turned(1.0, "closed", "open")]
    after = [turned(1.0, "closed", "open"), *started(1.0, 8)]

    assert check("breaker", before).status is Status.PASS
    assert check("breaker", after).status is Status.FAIL


def test_another_endpoint_is_not_concerned() -> None:
    events = cycle()
    events = [
        (t, name, {**fields, "endpoint": "b"} if name == "breaker" else fields) for t, name, fields in events
    ]

    assert check("breaker", [*events, *started(5.0, 9)]).status is Status.PASS


def test_a_client_that_reports_no_breaker_is_not_held_to_it() -> None:
    told = [
        (t, name, {key: value for key, value in fields.items() if key != "probe"})
        for t, name, fields in good_unary()
    ]

    assert not history(told).reports_breaker
    result = check("breaker", told)
    assert result.status is Status.PASS
    assert "not applicable" in result.summary
