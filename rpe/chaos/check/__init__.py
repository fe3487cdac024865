"""Checks: pure functions of a history and a plan, one promise per file."""

from __future__ import annotations

from rpe.chaos.check import (
    answers,
    breaker,
    budget,
    contract,
    deadline,
    ends_once,
    fault_fired,
    finished,
    in_flight,
    leaks,
    load_floor,
    outcomes,
    progress,
)
from rpe.chaos.check.base import Check
from rpe.chaos.check.expectations import expectation_name, judge_expectation

__all__ = ["ALWAYS", "FINISHED", "Check", "expectation_name", "judge_expectation"]

FINISHED = finished.CHECK
"""The check that says whether there is anything to judge."""

ALWAYS: dict[str, Check] = {
    check.name: check
    for check in (
        FINISHED,
        fault_fired.CHECK,
        load_floor.CHECK,
        progress.CHECK,
        ends_once.CHECK,
        deadline.CHECK,
        answers.CHECK,
        outcomes.CHECK,
        breaker.CHECK,
        budget.CHECK,
        in_flight.CHECK,
        leaks.CHECK,
        contract.CHECK,
    )
}
"""The checks that every run is held to, by name: first those that ask whether it proves anything."""
