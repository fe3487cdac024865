"""The folder of one load run. What is in it is enough to judge the run again."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from rpe.chaos.history import History, HistoryError
from rpe.chaos.rundir import RunFolder
from rpe.chaos.verdict import Verdict
from rpe.errors import ConfigurationError
from rpe.load.results import Results, read_results
from rpe.loadtest.model import LoadPlan
from rpe.loadtest.reading import plan_text, read_plan

__all__ = ["LoadFolder"]


class LoadFolder:
    """The files of a run: what was asked, what happened, what it came to.

    `plan.yaml`: the plan, its credentials hidden. `faults.jsonl`: when each fault and window
    came and went, in seconds from the start of the load. `result.jsonl`: what Locust's
    processes measured (`rpe.load.results`). `logs/`: their own words. `verdict.json`,
    `report.md`, `junit.xml`: the judgement. `draws.jsonl`: on a wire with datagrams, what
    became of each packet that met a fault.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, root: Path, name: str) -> Self:
        """Make a new folder `<root>/<name>-<time of day>`, with a number added where that exists already."""
        return cls(RunFolder.create(root, name, f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}").path)

    def part(self, number: int) -> Self:
        """Make the folder of one of several runs, inside this one."""
        path = self.path / f"run-{number}"
        path.mkdir()
        return type(self)(path)

    @property
    def plan_path(self) -> Path:
        """Where the plan is."""
        return self.path / "plan.yaml"

    @property
    def events_path(self) -> Path:
        """Where the comings and goings of faults and windows are."""
        return self.path / "faults.jsonl"

    @property
    def result_path(self) -> Path:
        """Where the figures are."""
        return self.path / "result.jsonl"

    @property
    def draws_path(self) -> Path:
        """Where the relays write what they drew."""
        return self.path / "draws.jsonl"

    @property
    def report_path(self) -> Path:
        """Where the report for people is."""
        return self.path / "report.md"

    @property
    def junit_path(self) -> Path:
        """Where the report for machines is."""
        return self.path / "junit.xml"

    def log_path(self, process: str) -> Path:
        """Return where the output of a process goes; the folder for it is made."""
        folder = self.path / "logs"
        folder.mkdir(exist_ok=True)
        return folder / f"{process}.log"

    def write_plan(self, plan: LoadPlan) -> None:
        """Write the plan. Raises ConfigurationError where the folder holds a run already."""
        if self.plan_path.exists():
            raise ConfigurationError(
                f"{self.path} holds a run already", hint="give each run a folder of its own"
            )
        self.plan_path.write_text(plan_text(plan), encoding="utf-8")

    def load_plan(self) -> LoadPlan:
        """Read the plan; raises LoadPlanError where there is none. Nobody looks for its locustfile."""
        if not self.plan_path.is_file():
            raise ConfigurationError(
                f"{self.path} holds no load run", hint="name a folder that `rpe load` has made"
            )
        return read_plan(self.plan_path, locustfile=False)

    def load_events(self) -> History:
        """Read the events. Raises HistoryError where they are broken, OSError where they cannot be read."""
        return History.load(self.events_path)

    def told_at_start(self) -> tuple[int, str]:
        """Return the seed and the proxy of the run; 0 and nothing where they cannot be read."""
        try:
            started = self.load_events().named("run.start")
        except (OSError, HistoryError):
            started = ()
        fields = started[0].fields if started else {}
        return int(fields.get("seed", 0)), str(fields.get("proxy", ""))

    def load_results(self) -> Results:
        """Read the figures. Raises ResultError where they are none, OSError where they cannot be read."""
        return read_results(self.result_path)

    def write_verdict(self, verdict: Verdict) -> None:
        """Write the verdict, whole or not at all."""
        RunFolder(self.path).write_verdict(verdict)

    def load_verdict(self) -> Verdict | None:
        """Read the verdict, or return None where the run never came to one."""
        return RunFolder(self.path).load_verdict()

    def __repr__(self) -> str:
        return f"LoadFolder({str(self.path)!r})"
