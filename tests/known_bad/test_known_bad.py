"""The suite can fail: known-bad clients go red where they must, and one without a defect does not.

Each test runs the cells of one theme. What was made for a defect comes first; the further
cells that its client goes red in, and the scenarios that only those stand for, are slow. The client of
this project is left out here, since `rpe run` runs every cell with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from rpe.chaos.check import ALWAYS
from rpe.chaos.verdict import Status
from tests.known_bad import clients
from tests.known_bad.page import PAGE, page
from tests.known_bad.table import BUGS, MODULE, rows
from tests.support.cells import cell, cells, failed, run, summary

CANNOT_FAIL = {
    "finished": "a run that was broken off says nothing of the client",
    "fault_fired": "a fault that did not act says nothing of the client",
    "load_floor": "a load that was too small says nothing of the client",
    "ends_once": "the harness writes the end of each operation, so no client can make it fail",
}
"""The checks that no client can turn red, and why."""

MADE_FOR_A_DEFECT = sorted({bug.scenario for bug in BUGS})
OTHERS = sorted(set(cells()) - set(MADE_FOR_A_DEFECT))
FIRST = [(bug.client, bug.scenario, bug.check) for bug in BUGS]
FURTHER = [(bug.client, *cell_and_check) for bug in BUGS for cell_and_check in bug.also.items()]


def themes(scenarios: Iterable[str]) -> list[Any]:
    found = sorted({cell(scenario).theme for scenario in scenarios})
    # Recognising speech keeps a core busy for seconds in each cell, which the tests beside it would feel.
    return [pytest.param(theme, marks=pytest.mark.slow) if theme == "voice" else theme for theme in found]


async def check_red(theme: str, table: list[tuple[str, str, str]], out: Path, tests: pytest.Subtests) -> None:
    wanted = [row for row in table if cell(row[1]).theme == theme]
    outcomes = await run([(f"{MODULE}:{client}", cell(scenario)) for client, scenario, _ in wanted], out)
    for (client, scenario, check), outcome in zip(wanted, outcomes, strict=True):
        with tests.test(client=client, scenario=scenario):
            told = summary(outcome.verdict)
            assert outcome.verdict.status is Status.FAIL, told
            assert failed(outcome.verdict, check), f"{check} did not fail, but:\n{told}"


async def check_green(theme: str, scenarios: list[str], out: Path, tests: pytest.Subtests) -> None:
    found = [cell(scenario) for scenario in scenarios if cell(scenario).theme == theme]
    wanted = [(f"{MODULE}:base", one) for one in found]
    for (client, one), outcome in zip(wanted, await run(wanted, out, to_pass=True), strict=True):
        with tests.test(client=client, scenario=one.scenario.name):
            assert outcome.verdict.status is Status.PASS, summary(outcome.verdict)


@pytest.mark.parametrize("theme", themes(scenario for _, scenario, _ in FIRST))
async def test_known_bad_clients_go_red(theme: str, tmp_path: Path, subtests: pytest.Subtests) -> None:
    await check_red(theme, FIRST, tmp_path, subtests)


@pytest.mark.slow
@pytest.mark.parametrize("theme", themes(scenario for _, scenario, _ in FURTHER))
async def test_known_bad_clients_go_red_elsewhere_too(
    theme: str, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    await check_red(theme, FURTHER, tmp_path, subtests)


@pytest.mark.parametrize("theme", themes(MADE_FOR_A_DEFECT))
async def test_a_client_without_a_defect_passes(
    theme: str, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    await check_green(theme, MADE_FOR_A_DEFECT, tmp_path, subtests)


@pytest.mark.slow
@pytest.mark.parametrize("theme", themes(OTHERS))
async def test_a_client_without_a_defect_passes_elsewhere_too(
    theme: str, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    await check_green(theme, OTHERS, tmp_path, subtests)


def test_every_known_bad_client_stands_in_the_table_once() -> None:
    assert sorted(bug.client for bug in BUGS) == sorted({*clients.__all__} - {"base"})


def test_every_known_bad_client_says_what_is_wrong_with_it_and_where_that_was_seen() -> None:
    for bug in BUGS:
        defect, field_report = bug.told
        assert defect.endswith("."), bug.client
        assert "#" in field_report, bug.client


def test_every_scenario_turns_a_client_red() -> None:
    assert {scenario for _, scenario, _ in rows()} == set(cells())


def test_every_check_that_can_fail_does() -> None:
    assert {check for _, _, check in rows()} & set(ALWAYS) == set(ALWAYS) - set(CANNOT_FAIL)


def test_the_page_is_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `python -m tests.known_bad.page`"
