"""The verdict of a load run, from its folder alone: no network, no Locust, the same whenever it is asked for.

As with scenarios nothing passes that was not seen: a run whose load was not there, whose
faults did not act, or whose figures are missing is unknown, whatever its gates say.
"""

from __future__ import annotations

from pathlib import Path

from rpe.chaos.check import FINISHED
from rpe.chaos.check.base import failed, passed, unknown
from rpe.chaos.check.fault_fired import CHECK as FAULT_FIRED
from rpe.chaos.history import History, HistoryError
from rpe.chaos.plan import Plan
from rpe.chaos.result import CheckResult, Status
from rpe.chaos.verdict import Verdict
from rpe.errors import RpeError
from rpe.load.results import ResultError, Results
from rpe.loadtest.drawing import draw
from rpe.loadtest.folder import LoadFolder
from rpe.loadtest.gates import judge_gate
from rpe.loadtest.model import LoadPlan

__all__ = ["OPERATIONS", "judge", "judge_run"]

OPERATIONS = ("execute", "stream")
"""The kinds of which each is one whole operation; the others are parts of those."""


def judge(folder: Path) -> Verdict:
    """Judge a saved run. Raises ConfigurationError where the folder holds none."""
    files = LoadFolder(folder)
    plan = files.load_plan()
    try:
        events = files.load_events()
    except (OSError, HistoryError) as error:
        return Verdict.of([unknown("finished", f"what happened cannot be read: {_told(error)}")])
    drawn = draw(plan, seed=0)  # what is left to chance makes no difference here
    finished = FINISHED.run(events, drawn)
    if finished.status is not Status.PASS:
        return Verdict.of([finished])
    try:
        results = files.load_results()
    except (OSError, ResultError) as error:
        return Verdict.of([finished, unknown("result", f"the figures cannot be read: {_told(error)}")])
    return Verdict.of([finished, *judge_run(plan, drawn, events, results)])


def judge_run(plan: LoadPlan, drawn: Plan, events: History, results: Results) -> list[CheckResult]:
    """Return what each check of a run that went to its end comes to."""
    checks = [_workers(plan, results), _load_floor(plan, results)]
    if plan.faults:
        checks.append(FAULT_FIRED.run(events, drawn))
    checks.append(_progress(plan, events, results))
    return checks + [judge_gate(gate, events, drawn, results) for gate in plan.gates]


def _workers(plan: LoadPlan, results: Results) -> CheckResult:
    """workers: the figures are of all the processes that were to make load."""
    name = "workers"
    made = {row.worker for row in results.rows if row.count or row.missed}
    if results.workers != plan.workers:
        return unknown(name, f"there were {results.workers} workers, planned were {plan.workers}")
    if plan.load and len(made) < plan.sources:
        return unknown(name, f"only {len(made)} of {plan.sources} processes made any load")
    return passed(name, f"{len(made)} of {plan.sources} processes made load")


def _load_floor(plan: LoadPlan, results: Results) -> CheckResult:
    """load_floor: the load was what the plan promised, or the run says nothing."""
    name = "load_floor"
    total = sum(results.series(kind).count for kind in OPERATIONS)
    counts = {load.name: results.series(load.operation, load.name).count for load in plan.load}
    evidence = [
        f"{load.name}: {load.promised(plan.duration_s):.0f} planned, {counts[load.name]} came to an end"
        for load in plan.load
    ]
    silent = [load for load, count in counts.items() if not count]
    summary = f"{total} operations came to an end, the floor is {plan.least}"
    if total < plan.least:
        return unknown(name, summary, evidence)
    if silent:
        return unknown(name, f"nothing came of {', '.join(silent)}", evidence)
    return passed(name, summary)


def _progress(plan: LoadPlan, events: History, results: Results) -> CheckResult:
    """progress: operations succeed after the last heal, and each load did at least once."""
    name = "progress"
    never = [load.name for load in plan.load if not results.series(load.operation, load.name).ok]
    if never:
        return failed(name, f"no operation of {', '.join(never)} ever succeeded", [])
    if not plan.faults:
        ok = sum(results.series(kind).ok for kind in OPERATIONS)
        return (
            passed(name, f"{ok} operations succeeded") if ok else failed(name, "no operation succeeded", [])
        )
    healed_s = events.last_heal_s
    if healed_s is None:
        return unknown(name, "it is not told when the last fault was healed")
    later = [results.series(kind, from_s=healed_s, to_s=float(plan.duration_s)) for kind in OPERATIONS]
    count, ok = sum(series.count for series in later), sum(series.ok for series in later)
    if not count:
        return unknown(
            name, f"no operation was started in a whole second after the last heal, at {healed_s:.3f} s"
        )
    summary = f"{ok} of {count} operations succeeded after the last heal, at {healed_s:.3f} s"
    return passed(name, summary) if ok else failed(name, summary, [])


def _told(error: Exception) -> str:
    return error.message if isinstance(error, RpeError) else getattr(error, "strerror", None) or str(error)
