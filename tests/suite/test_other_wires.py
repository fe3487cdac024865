"""The scenarios of the other wires: enough of them, not vacuous, and able to turn a plain client red."""

from __future__ import annotations

from pathlib import Path

import pytest

from rpe.chaos.check import ALWAYS
from rpe.chaos.scenario.loading import discover
from rpe.chaos.scenario.matrix import Cell
from rpe.chaos.verdict import Status
from tests.support.cells import ROOT, run, summary
from tests.support.real_toxiproxy import real_toxiproxy

WIRES = ("grpc", "http", "webrtc")
OTHERS = ("http", "webrtc")

CELLS = [cell for file in discover([ROOT / "scenarios"]) for cell in file.cells]
OWN = [cell for cell in CELLS if cell.theme in WIRES]
"""Those of one wire alone."""

MINUTE_LONG = {"loss-not-survived"}
LEAVES_NO_TRACE = {
    "signalling-down": "that nothing is noticed is what it proves",
    "reordering": "what a caller gets is the same, which is what it proves",
    "idle-connections": "that nothing is noticed is what it proves",
    "events-cut": "a session that is taken up again looks as one that was not cut",
    "events-disordered": "what a caller gets is the same, which is what it proves",
}
"""Scenarios all of whose expectations hold without their faults too; only `fault_fired` tells."""

REDDENED = (
    "pipeline-fails",
    "primary-dies",
    "slow-primary",
    "both-ways",
    "hang-is-not-fatal",
    "sessions-move",
)
"""What a plain client of one endpoint cannot pass on any wire."""


def of(wire: str, scenario: str) -> Cell:
    (found,) = [cell for cell in CELLS if (cell.transport, cell.scenario.name) == (wire, scenario)]
    return found


def test_most_scenarios_run_on_all_three_wires() -> None:
    wires: dict[str, set[str]] = {}
    for cell in CELLS:
        wires.setdefault(cell.scenario.name, set()).add(cell.transport)
    assert sum(found == set(WIRES) for found in wires.values()) >= 15


def test_every_wire_has_scenarios_of_its_own() -> None:
    assert {cell.theme for cell in OWN} == set(WIRES)
    assert all(cell.transport == cell.theme for cell in OWN)


@pytest.mark.parametrize("wire", OTHERS)
async def test_without_its_faults_none_passes(wire: str, tmp_path: Path, subtests: pytest.Subtests) -> None:
    wanted = [cell for cell in OWN if cell.theme == wire and cell.scenario.name not in MINUTE_LONG]
    outcomes = await run([("rpe", cell) for cell in wanted], tmp_path, faults=False)
    for cell, outcome in zip(wanted, outcomes, strict=True):
        name, verdict = cell.scenario.name, outcome.verdict
        with subtests.test(scenario=name):
            told = summary(verdict)
            assert verdict.status is not Status.PASS, told
            always = {check.name: check.status for check in verdict.checks if check.name in ALWAYS}
            assert always.pop("fault_fired") is Status.UNKNOWN, told
            assert set(always.values()) == {Status.PASS}, told
            unmet = [
                check.name
                for check in verdict.checks
                if check.name not in ALWAYS and check.status is not Status.PASS
            ]
            assert bool(unmet) is (name not in LEAVES_NO_TRACE), told


@pytest.mark.parametrize("wire", OTHERS)
async def test_a_plain_client_goes_red(wire: str, tmp_path: Path, subtests: pytest.Subtests) -> None:
    wanted = [of(wire, scenario) for scenario in REDDENED]
    outcomes = await run([("bare", cell) for cell in wanted], tmp_path)
    for cell, outcome in zip(wanted, outcomes, strict=True):
        with subtests.test(scenario=cell.scenario.name):
            assert outcome.verdict.status is Status.FAIL, summary(outcome.verdict)


@pytest.mark.toxiproxy
async def test_they_hold_on_a_real_toxiproxy_too(tmp_path: Path, subtests: pytest.Subtests) -> None:
    wanted = [of(wire, scenario) for wire in OTHERS for scenario in ("slow-primary", "both-ways")]
    wanted += [of("http", "connection-resets"), of("webrtc", "signalling-down")]
    with real_toxiproxy() as url:
        outcomes = await run([("rpe", cell) for cell in wanted], tmp_path, proxy=url, to_pass=True)
    for cell, outcome in zip(wanted, outcomes, strict=True):
        with subtests.test(cell=cell.id):
            assert outcome.verdict.status is Status.PASS, summary(outcome.verdict)


def test_the_exceptions_are_scenarios() -> None:
    names = {cell.scenario.name for cell in OWN}
    assert names >= set(LEAVES_NO_TRACE) | MINUTE_LONG
