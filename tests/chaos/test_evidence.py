"""Whether a fault acted: the world's own counters, or what the history tells in their place."""

from __future__ import annotations

from typing import Any

import pytest

from rpe.chaos.evidence import count_fired
from rpe.chaos.history import History
from rpe.chaos.world.world import Evidence, Means

ORIGIN_S = 500.0


def fired(means: Means, *events: tuple[float, str, dict[str, Any]], count: int = 0) -> int:
    known = Evidence("a", means, ((501.0, 502.0), (504.0, 505.0)), count, {"chunks": count})
    total, told = count_fired({"slow.0": known}, History.of(*events), origin_s=ORIGIN_S)
    assert told["slow.0"]["server"] == "a"
    assert told["slow.0"]["times"] == 2
    assert told["slow.0"]["means"] == str(means)
    return total


def attempt(
    start_s: float, end_s: float, outcome: str, endpoint: str = "a"
) -> list[tuple[float, str, dict[str, Any]]]:
    fields = {"op": f"x-{start_s}", "attempt": 1, "endpoint": endpoint}
    return [(start_s, "attempt.start", fields), (end_s, "attempt.end", {**fields, "outcome": outcome})]


def operation(
    start_s: float, end_s: float, outcome: str, endpoint: str | None = None
) -> list[tuple[float, str, dict[str, Any]]]:
    op = f"x-{start_s}"
    return [
        (start_s, "operation.start", {"op": op}),
        (end_s, "operation.end", {"op": op, "outcome": outcome, "endpoint": endpoint}),
    ]


def entry(
    t: float, kind: str = "received", server: str = "a", **fields: Any
) -> tuple[float, str, dict[str, Any]]:
    return (t, f"server.{kind}", {"server": server, "call": t, **fields})


@pytest.mark.parametrize("count", [0, 7])
def test_what_the_world_saw_counts_and_nothing_beside_it(count: int) -> None:
    assert fired(Means.OBSERVED, *attempt(1.1, 1.2, "failure"), entry(1.5), count=count) == count


def test_traffic_is_what_reached_the_server_or_was_tried_at_it_meanwhile() -> None:
    events = [
        *attempt(0.5, 0.9, "success"),
        *attempt(0.9, 1.1, "success"),
        *attempt(4.5, 4.6, "failure"),
        *attempt(1.5, 1.6, "success", endpoint="b"),
        entry(1.5),
        entry(3.0),
        entry(1.5, server="b"),
    ]
    assert fired(Means.TRAFFIC, *events) == 3
    assert fired(Means.TRAFFIC, entry(3.0)) == 0


def test_without_any_word_of_the_server_failed_operations_stand_for_traffic() -> None:
    assert fired(Means.TRAFFIC, *operation(1.1, 1.9, "maybe")) == 1
    assert fired(Means.TRAFFIC, *operation(1.1, 1.9, "ok")) == 0


def test_failures_are_attempts_that_failed_at_the_server_meanwhile() -> None:
    events = [
        *attempt(1.5, 1.6, "failure"),
        *attempt(1.5001, 1.6, "success"),
        *attempt(1.5002, 1.6, "failure", endpoint="b"),
        *attempt(2.5, 2.6, "failure"),
        *operation(1.5, 1.6, "failed"),
    ]
    assert fired(Means.FAILURES, *events, count=2) == 3


def test_of_a_client_that_reports_nothing_failed_operations_count() -> None:
    events = [
        *operation(1.5, 1.6, "failed"),
        *operation(1.51, 1.6, "maybe", endpoint="a"),
        *operation(1.52, 1.6, "failed", endpoint="b"),
        *operation(2.5, 3.0, "failed"),
        *operation(1.53, 1.6, "ok"),
    ]
    assert fired(Means.FAILURES, *events) == 2


def test_a_script_acted_where_the_journal_says_so() -> None:
    events = [
        entry(1.5, "fault", fault="error"),
        (1.5, "server.failed", {"server": "a", "call": 1.5}),
        entry(1.6, "failed"),
        entry(1.7, "sent"),
        entry(3.0, "fault", fault="error"),
        entry(1.5, "fault", server="b", fault="error"),
    ]
    assert fired(Means.SCRIPTED, *events) == 2


def test_the_actions_of_a_fault_are_added_up() -> None:
    known = {f"f.{n}": Evidence("a", Means.OBSERVED, ((501.0, 502.0),), n) for n in range(4)}
    total, told = count_fired(known, History.of(), origin_s=ORIGIN_S)
    assert total == 6
    assert list(told) == list(known)
    assert count_fired({}, History.of(), origin_s=ORIGIN_S) == (0, {})
