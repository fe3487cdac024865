from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rpe.chaos.result import CheckResult, Status
from rpe.errors import ConfigurationError
from rpe.loadtest.judging import judge
from rpe.loadtest.measures import MEASURES
from tests.loadtest.saved import PLAN, SavedRun, plan_of, row

PASS, FAIL, UNKNOWN = Status.PASS, Status.FAIL, Status.UNKNOWN


def check(path: Path, name: str) -> CheckResult:
    found = [check for check in judge(path).checks if check.name.startswith(name)]
    assert found, judge(path)
    return found[0]


def test_a_run_that_went_well_passes(tmp_path: Path) -> None:
    verdict = judge(SavedRun(plan_of([{"measure": "error_ratio", "at_most": 0}])).write(tmp_path))
    assert verdict.status is PASS
    names = [check.name for check in verdict.checks]
    gate = "gate error_ratio of execute during run"
    assert names == ["finished", "workers", "load_floor", "fault_fired", "progress", gate]


GATES: list[tuple[dict[str, Any], float]] = [
    ({"measure": "p50_s", "at_most": 0.004}, 0.005),
    ({"measure": "p90_s", "at_most": 0.004}, 0.005),
    ({"measure": "p95_s", "at_most": 0.5}, 0.9),
    ({"measure": "p99_s", "at_most": 0.5}, 0.9),
    ({"measure": "p999_s", "at_most": 0.5}, 0.9),
    ({"measure": "max_s", "at_most": 0.5}, 0.9),
    ({"measure": "mean_s", "at_most": 0.05}, (74 * 0.005 + 6 * 0.9) / 80),
    ({"measure": "count", "at_least": 90}, 86),
    ({"measure": "rate_per_s", "at_least": 11}, 10.75),
    ({"measure": "failures", "equals": 0}, 6),
    ({"measure": "error_ratio", "at_most": 0.05}, 6 / 86),
    ({"measure": "missed", "at_most": 3}, 4),
    ({"measure": "missed_ratio", "at_most": 0.01}, 4 / 90),
]


@pytest.mark.parametrize(("gate", "measured"), GATES, ids=[gate["measure"] for gate, _ in GATES])
def test_each_measure_can_break_a_gate_and_keep_it(
    gate: dict[str, Any], measured: float, tmp_path: Path
) -> None:
    run = SavedRun(plan_of([gate, {"measure": gate["measure"], "at_least": 0, "at_most": 1000}]))
    run.rows[3] = row(3, 10, failed=6, missed=4)
    run.rows[6] = row(6, 4)
    run.more = [row(6, 6, ms=900, worker="another")]  # added up with the first
    checks = judge(run.write(tmp_path)).checks
    broken, kept = checks[-2:]
    assert (broken.status, kept.status) == (FAIL, PASS)
    assert broken.measured == pytest.approx(measured, rel=0.01)


def test_every_measure_is_tried_here() -> None:
    assert {gate["measure"] for gate, _ in GATES} == set(MEASURES)


def test_a_gate_looks_at_the_whole_seconds_inside_of_its_window(tmp_path: Path) -> None:
    gates = [
        {"measure": "failures", "during": "cut", "equals": 0},
        {"measure": "failures", "during": "calm", "from_s": 1, "equals": 0},
        {"measure": "failures", "during": "after", "equals": 3},
        {"measure": "failures", "during": "run", "within_s": 4.6, "equals": 2},
    ]
    run = SavedRun(plan_of(gates))
    # The fault is in force from 1.52 s to 4.53 s: of the seconds 1 and 4 only a part.
    run.rows |= {1: row(1, failed=1), 4: row(4, failed=1), 5: row(5, failed=3)}
    run.more = [row(0, failed=1, worker="another")]
    checks = {check.name: check for check in judge(run.write(tmp_path)).checks[-4:]}
    assert [check.status for check in checks.values()] == [PASS] * 4, checks
    assert "from 2 s to 4 s" in checks["gate failures of execute during cut"].summary
    assert "from 6 s to 8 s" in checks["gate failures of execute during calm from 1 s"].summary
    assert "from 5 s to 8 s" in checks["gate failures of execute during after"].summary


def test_a_gate_that_is_broken_shows_by_what(tmp_path: Path) -> None:
    run = SavedRun(plan_of([{"measure": "failures", "equals": 0}, {"measure": "p99_s", "at_most": 0.1}]))
    run.rows |= {3: row(3, failed=2), 5: row(5, ms=800)}
    failures, slow = judge(run.write(tmp_path)).checks[-2:]
    assert failures.evidence == ("2 x unavailable: no",)
    assert slow.evidence[0] == "in second 5: p99 0.800 s, max 0.800 s of 10"


def test_gates_tell_kinds_and_names_apart(tmp_path: Path) -> None:
    gates = [
        {"measure": "count", "kind": "attempt", "name": "calls @ 127.0.0.1:1001", "equals": 7},
        {"measure": "count", "kind": "attempt", "equals": 9},
        {"measure": "count", "name": "calls", "equals": 80},
    ]
    run = SavedRun(plan_of(gates))
    run.more = [
        row(0, 7, kind="attempt", name="calls @ 127.0.0.1:1001"),
        row(0, 2, kind="attempt", name="calls @ 127.0.0.1:1002"),
    ]
    assert [check.status for check in judge(run.write(tmp_path)).checks[-3:]] == [PASS] * 3


@pytest.mark.parametrize("measure", ["p99_s", "max_s", "error_ratio", "failures", "missed"])
def test_what_was_not_there_keeps_no_bound(measure: str, tmp_path: Path) -> None:
    run = SavedRun(plan_of([{"measure": measure, "during": "calm", "at_most": 1}]))
    run.rows = {slot: row(slot, 20) for slot in range(5)}
    assert check(run.write(tmp_path), "gate").status is UNKNOWN


def test_a_window_that_never_opened_is_unknown(tmp_path: Path) -> None:
    run = SavedRun(plan_of([{"measure": "count", "during": "cut", "at_least": 0}]), faults=False)
    assert check(run.write(tmp_path), "gate").status is UNKNOWN


# --- runs that prove nothing ------------------------------------------------------------------------------


def test_a_run_that_was_ended_early_is_unknown_and_not_judged(tmp_path: Path) -> None:
    verdict = judge(SavedRun(reason="worker-1 ended before its time (signal 9)").write(tmp_path))
    assert [(check.name, check.status) for check in verdict.checks] == [("finished", UNKNOWN)]
    assert "worker-1 ended before its time" in verdict.checks[0].summary


def test_a_run_without_an_end_is_unknown(tmp_path: Path) -> None:
    assert judge(SavedRun(reason=None).write(tmp_path)).status is UNKNOWN


@pytest.mark.parametrize("text", [None, "", '{"rpe_load_result": 2}\n'])
def test_a_run_without_figures_is_unknown(text: str | None, tmp_path: Path) -> None:
    path = SavedRun().write(tmp_path)
    (path / "result.jsonl").unlink()
    if text is not None:
        (path / "result.jsonl").write_text(text)
    assert check(path, "result").status is UNKNOWN


def test_a_run_of_which_nothing_is_told_is_unknown(tmp_path: Path) -> None:
    path = SavedRun().write(tmp_path)
    (path / "faults.jsonl").write_text("no event\n")
    assert judge(path).status is UNKNOWN


def test_less_load_than_the_floor_is_unknown(tmp_path: Path) -> None:
    run = SavedRun()
    run.rows = {slot: row(slot, 7) for slot in range(8)}  # 56 of 80, of which 80% are 64
    assert check(run.write(tmp_path), "load_floor").status is UNKNOWN


def test_a_load_of_which_nothing_came_is_unknown(tmp_path: Path) -> None:
    text = PLAN.replace("load: [", "load: [{name: silent, kind: unary, rate_per_s: 1}, ")
    found = check(SavedRun(plan_of(text=text)).write(tmp_path), "load_floor")
    assert found.status is UNKNOWN
    assert "silent" in found.summary


def test_workers_that_are_missing_make_it_unknown(tmp_path: Path) -> None:
    two = plan_of(text=PLAN + "workers: 2\n")
    assert check(SavedRun(two, workers=1).write(tmp_path), "workers").status is UNKNOWN


def test_a_worker_that_made_no_load_makes_it_unknown(tmp_path: Path) -> None:
    two = plan_of(text=PLAN + "workers: 2\n")
    found = check(SavedRun(two, workers=2).write(tmp_path), "workers")
    assert (found.status, found.summary) == (UNKNOWN, "only 1 of 2 processes made any load")


def test_a_fault_that_did_not_act_makes_it_unknown(tmp_path: Path) -> None:
    assert check(SavedRun(fired=0).write(tmp_path), "fault_fired").status is UNKNOWN


def test_a_fault_that_never_came_makes_it_unknown(tmp_path: Path) -> None:
    assert check(SavedRun(faults=False).write(tmp_path), "fault_fired").status is UNKNOWN


def test_without_a_success_after_the_last_heal_it_fails(tmp_path: Path) -> None:
    run = SavedRun()
    # The one success of second 4 may have been before the heal, at 4.53 s.
    run.rows |= {slot: row(slot, 0, failed=10) for slot in (5, 6, 7)}
    found = check(run.write(tmp_path), "progress")
    assert (found.status, found.summary) == (
        FAIL,
        "0 of 30 operations succeeded after the last heal, at 4.530 s",
    )


def test_without_an_operation_after_the_last_heal_it_is_unknown(tmp_path: Path) -> None:
    run = SavedRun()
    run.rows = {slot: row(slot, 20) for slot in range(5)}
    assert check(run.write(tmp_path), "progress").status is UNKNOWN


def test_a_load_that_never_succeeded_fails(tmp_path: Path) -> None:
    run = SavedRun()
    run.rows = {slot: row(slot, 0, failed=10) for slot in range(8)}
    assert check(run.write(tmp_path), "progress").status is FAIL


def test_a_bound_of_time_that_broke_while_the_machine_stood_still_is_unknown(tmp_path: Path) -> None:
    gates = [
        {"measure": "p99_s", "during": "calm", "at_most": 0.1},
        {"measure": "p99_s", "during": "cut", "at_most": 0.001},
        {"measure": "failures", "during": "calm", "equals": 0},
    ]
    run = SavedRun(plan_of(gates), stalls=((6.2, 0.5),))
    run.rows[6] = row(6, ms=700, failed=1)
    in_it, before_it, no_time = judge(run.write(tmp_path)).checks[-3:]
    assert (in_it.status, before_it.status, no_time.status) == (UNKNOWN, FAIL, FAIL)


def test_a_folder_without_a_run_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="holds no load run"):
        judge(tmp_path)
