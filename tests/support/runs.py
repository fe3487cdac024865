"""Hand-written histories: a run in which everything went well, and small ways to spoil it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rpe.chaos.check import ALWAYS, judge_expectation
from rpe.chaos.history import FINISHED, History
from rpe.chaos.plan import Plan
from rpe.chaos.result import CheckResult
from rpe.chaos.scenario.matrix import cells
from rpe.chaos.scenario.model import Expectation, Scenario

__all__ = [
    "SCENARIO",
    "Told",
    "add",
    "change",
    "check",
    "drop",
    "good_stream",
    "good_unary",
    "history",
    "measured",
    "operation",
    "plan_of",
    "scenario_of",
]

Told = tuple[float, str, dict[str, Any]]
"""One event: its time in seconds, its name, its fields."""

SCENARIO: dict[str, Any] = {
    "name": "slow-primary",
    "proves": "When one server of three turns slow, calls stay fast.",
    "servers": {"a": {}, "b": {}, "c": {}},
    "manifest": "gain",
    "client": {
        "timeout_s": 1.0,
        "retry": {"max_retries": 3},
        "breaker": {"success_threshold": 2},
        "budget": {"ratio": 0.2, "min_per_s": 1.0},
    },
    "workload": {"name": "calls", "kind": "unary", "rate_per_s": 10.0},
    "duration_s": 4.0,
    "faults": [{"name": "slow", "at_s": 1.0, "for_s": 1.0, "latency": {"on": ["a"], "latency_s": 0.3}}],
    "windows": [{"name": "recovered", "after": {"window": "slow"}, "for_s": 1.0}],
}
"""The scenario of all hand-written histories: `slow` is in force from 1 s to 2 s of 4 s."""


def scenario_of(**changes: Any) -> Scenario:
    """Return the scenario with some of its keys changed."""
    return Scenario.model_validate({**SCENARIO, **changes})


def plan_of(**changes: Any) -> Plan:
    """Return the plan of the scenario with some of its keys changed."""
    return Plan.draw(cells(scenario_of(**changes), "failover")[0], seed=7)


def operation(
    op: str,
    t: float,
    *,
    took_s: float = 0.01,
    endpoint: str = "a",
    outcome: str = "ok",
    code: str = "ok",
    repeatable: bool = True,
    workload: str = "calls",
) -> list[Told]:
    """Return one unary operation as the client, the servers and the caller tell it."""
    ok = outcome == "ok"
    end: dict[str, Any] = {"op": op, "outcome": outcome, "code": code, "endpoint": endpoint, "attempts": 1}
    end |= {"latency_s": took_s, "error_kind": None if ok else "network"}
    end |= {"response_hash": f"answer-{op}" if ok else None}
    attempt = {"op": op, "attempt": 1, "endpoint": endpoint, "probe": False}
    call = {"server": endpoint, "op": op, "attempt": 1, "call": op, "method": "/rpe/Execute"}
    start = {"op": op, "workload": workload, "kind": "unary", "due_s": t, "timeout_s": 1.0}
    start |= {"repeatable": repeatable, "request_hash": f"request-{op}"}
    told: list[Told] = [
        (t, "operation.start", start),
        (t, "attempt.start", attempt),
        (t + 0.001, "server.received", {**call, "request_hash": f"request-{op}", "remaining_s": 0.99}),
    ]
    if ok:
        told.append((t + 0.002, "server.sent", {**call, "response_hash": f"answer-{op}"}))
    done = {**attempt, "outcome": "success" if ok else "failure", "code": code}
    return [*told, (t + took_s, "attempt.end", done), (t + took_s, "operation.end", end)]


def _frame() -> list[Told]:
    held = {"tasks": 2, "fds": 10, "threads": 3, "children": 0, "sockets": 4}
    return [
        (0.0, "run.start", {"scenario": "slow-primary", "seed": 7}),
        (0.0, "resource", {"when": "baseline", **held}),
        (1.0, "fault.apply", {"fault": "slow", "kind": "latency", "on": ["a"]}),
        (1.05, "fault.applied", {"fault": "slow", "verified": True}),
        (1.05, "window.open", {"window": "slow"}),
        (2.05, "fault.heal", {"fault": "slow"}),
        (2.1, "fault.healed", {"fault": "slow"}),
        (2.1, "window.close", {"window": "slow"}),
        (2.1, "window.open", {"window": "recovered"}),
        (3.1, "window.close", {"window": "recovered"}),
        (4.2, "fault.fired", {"fault": "slow", "kind": "latency", "count": 3, "evidence": {}}),
        (4.2, "resource", {"when": "final", **held, "in_flight": 0}),
        (4.2, "run.end", {"reason": FINISHED}),
    ]


def good_unary(count: int = 40) -> list[Told]:
    """Return a run in which `count` operations, one each 100 ms, were answered by a, b, c in turn."""
    told = _frame()
    for number in range(count):
        told += operation(f"calls-{number}", number / 10, endpoint="abc"[number % 3])
    return _in_order(told)


def good_stream(chunks: int = 5) -> list[Told]:
    """Return a run with four sessions, one a second, of some chunks 20 ms apart, each answered in 5 ms."""
    told = _frame()
    for number in range(4):
        op, t = f"calls-{number}", float(number)
        start = {"op": op, "workload": "calls", "kind": "stream", "due_s": t, "timeout_s": 2.0}
        told.append((t, "operation.start", {**start, "repeatable": True, "request_hash": None}))
        for seq in range(chunks):
            due_s = t + seq * 0.02
            call = {"server": "a", "op": op, "call": 1 + number, "method": "/rpe/Stream", "seq": seq}
            told.append((due_s, "chunk.sent", {"op": op, "seq": seq, "hash": f"in-{seq}", "due_s": due_s}))
            told.append((due_s + 0.002, "server.chunk", {**call, "request_hash": f"in-{seq}"}))
            told.append((due_s + 0.003, "server.result", {**call, "response_hash": f"out-{seq}"}))
            answer = {"op": op, "seq": seq, "hash": f"out-{seq}", "latency_s": 0.005}
            told.append((due_s + 0.005, "chunk.answered", answer))
        end = {"op": op, "outcome": "ok", "code": "ok", "endpoint": "a", "latency_s": 0.2, "attempts": 1}
        told.append((t + 0.2, "operation.end", end))
    return _in_order(told)


def change(told: Iterable[Told], name: str, where: dict[str, Any], **fields: Any) -> list[Told]:
    """Return the events with other fields in those of this name that match; there must be one."""
    changed = [
        (t, event, {**old, **fields} if event == name and _matches(old, where) else old)
        for t, event, old in told
    ]
    assert changed != list(told), f"no {name} matches {where}"
    return changed


def drop(told: Iterable[Told], name: str, **where: Any) -> list[Told]:
    """Return the events without those of this name that match; there must be one."""
    kept = [event for event in told if not (event[1] == name and _matches(event[2], where))]
    assert kept != list(told), f"no {name} matches {where}"
    return kept


def add(told: Iterable[Told], *more: Told) -> list[Told]:
    """Return the events with more of them, in the order of time."""
    return _in_order([*told, *more])


def history(told: Iterable[Told]) -> History:
    """Return the history of these events."""
    return History.of(*told)


def check(name: str, told: Iterable[Told], plan: Plan | None = None) -> CheckResult:
    """Run one of the checks that always run."""
    return ALWAYS[name].run(history(told), plan or plan_of())


def measured(told: Iterable[Told], plan: Plan | None = None, **expectation: Any) -> CheckResult:
    """Judge one expectation; without a bound of its own, it holds for every value."""
    if not {"at_least", "at_most", "equals"} & set(expectation):
        expectation["at_least"] = -1e9
    return judge_expectation(history(told), plan or plan_of(), Expectation.model_validate(expectation))


def _matches(fields: dict[str, Any], where: dict[str, Any]) -> bool:
    return all(fields.get(key) == value for key, value in where.items())


def _in_order(told: list[Told]) -> list[Told]:
    return sorted(((round(t, 6), name, fields) for t, name, fields in told), key=lambda event: event[0])
