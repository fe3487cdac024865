"""No vacuous green: a scenario whose faults are taken out does not pass, and says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from rpe.chaos.check import ALWAYS
from rpe.chaos.verdict import CheckResult, Status, Verdict
from tests.support.cells import cells, run, summary, themes

LEAVES_NO_TRACE = {
    "rolling-restart": "a rollout that goes well is one that nobody notices: nothing else is expected of it",
    "flapping-at-random": "a seed may draw flaps so short that no call meets one",
    "token-and-version-rotate": "that nothing is noticed is what it proves",
}
"""The scenarios all of whose expectations hold without their faults too, and why that is right."""


def of_expectations(verdict: Verdict) -> list[CheckResult]:
    return [check for check in verdict.checks if check.name not in ALWAYS]


THEMES = [
    pytest.param(theme, marks=pytest.mark.slow) if theme == "voice" else theme for theme in sorted(themes())
]
"""Recognising speech keeps a core busy for seconds in each cell, which the tests beside it would feel."""


@pytest.mark.parametrize("theme", THEMES)
async def test_without_its_faults_no_scenario_passes(
    theme: str, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    wanted = themes()[theme]
    outcomes = await run([("rpe", one) for one in wanted], tmp_path, faults=False)
    for one, outcome in zip(wanted, outcomes, strict=True):
        name, verdict = one.scenario.name, outcome.verdict
        with subtests.test(scenario=name):
            told = summary(verdict)
            assert verdict.status is not Status.PASS, told
            # That the fault did not act is said by the check made for it, and by no other that always runs.
            always = {check.name: check.status for check in verdict.checks if check.name in ALWAYS}
            assert always.pop("fault_fired") is Status.UNKNOWN, told
            assert set(always.values()) == {Status.PASS}, told
            # And the scenario's own expectations miss what the fault does.
            unmet = [check.name for check in of_expectations(verdict) if check.status is not Status.PASS]
            assert bool(unmet) is (name not in LEAVES_NO_TRACE), told


def test_the_exceptions_are_scenarios() -> None:
    assert set(LEAVES_NO_TRACE) <= set(cells())
