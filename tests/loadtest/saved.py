"""Load runs as they are saved, made by hand: what each second measured, and what became of the faults."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rpe.load.histograms import encode_counts
from rpe.load.results import Results, write_results
from rpe.load.rows import Row
from rpe.loadtest.folder import LoadFolder
from rpe.loadtest.model import LoadPlan
from rpe.loadtest.reading import parse_plan

__all__ = ["PLAN", "SavedRun", "plan_of", "row"]

PLAN = """
name: by-hand
proves: What is judged here was written by hand, every second of it.
servers: {a: {}, b: {}}
load: [{name: calls, kind: unary, rate_per_s: 10}]
duration_s: 8
faults: [{name: cut, at_s: 1.5, for_s: 3, down: {on: [a]}}]
windows: [{name: calm, at_s: 5}]
"""


def plan_of(gates: Iterable[Mapping[str, Any]] = (), text: str = PLAN) -> LoadPlan:
    """Return the plan, with gates."""
    return parse_plan(f"{text}gates: {json.dumps(list(gates))}\n")


def row(
    slot: int,
    ok: int = 10,
    *,
    ms: float = 5.0,
    failed: int = 0,
    missed: int = 0,
    kind: str = "execute",
    name: str = "calls",
    worker: str = "local",
) -> Row:
    """Return what one second measured, every latency the same."""
    return Row(
        kind, name, slot, worker,
        count=ok + failed,
        failures={"unavailable: no": failed} if failed else {},
        missed=missed,
        histogram=encode_counts({round(ms * 1000): ok}) if ok else "",
        failed_histogram=encode_counts({1000: failed}) if failed else "",
    )  # fmt: skip


@dataclass
class SavedRun:
    """A run to be written into a folder. As it is, it went well: eight seconds of ten calls each."""

    plan: LoadPlan = field(default_factory=plan_of)
    rows: dict[int, Row] = field(default_factory=lambda: {slot: row(slot) for slot in range(8)})
    more: list[Row] = field(default_factory=list)
    workers: int = 0
    reason: str | None = "finished"
    fired: int = 3
    faults: bool = True
    stalls: tuple[tuple[float, float], ...] = ()

    def write(self, path: Path) -> Path:
        """Write the folder of the run, and return its path."""
        folder = LoadFolder(path)
        folder.write_plan(self.plan)
        rows = [*self.rows.values(), *self.more]
        write_results(folder.result_path, Results(100.0, 108.1, self.workers, 1, "2.47.0", rows))
        events = sorted(self._events(), key=lambda event: event[0])
        lines = [json.dumps({"t": t, "e": name, **fields}) for t, name, fields in events]
        folder.events_path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path

    def _events(self) -> list[tuple[float, str, dict[str, Any]]]:
        events: list[tuple[float, str, dict[str, Any]]] = [
            (0.0, "run.start", {"seed": 7, "proxy": "embedded"}),
            (0.0, "endpoints", {"endpoints": {"a": "127.0.0.1:1001", "b": "127.0.0.1:1002"}}),
            (5.0, "window.open", {"window": "calm"}),
            (8.0, "window.close", {"window": "calm"}),
        ]
        if self.faults:
            events += [
                (1.5, "fault.apply", {"fault": "cut", "kind": "down", "on": ["a"]}),
                (1.52, "fault.applied", {"fault": "cut", "verified": True}),
                (1.52, "window.open", {"window": "cut"}),
                (4.52, "fault.heal", {"fault": "cut"}),
                (4.53, "fault.healed", {"fault": "cut"}),
                (4.53, "window.close", {"window": "cut"}),
                (9.0, "fault.fired", {"fault": "cut", "kind": "down", "count": self.fired, "evidence": {}}),
            ]
        events += [(t, "machine.stall", {"seconds": seconds}) for t, seconds in self.stalls]
        if self.reason is not None:
            events.append((9.5, "run.end", {"reason": self.reason}))
        return events
