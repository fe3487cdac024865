"""One load run: the world, Locust's processes and the faults side by side, written down and judged.

Whatever ends the run, nothing is left running, and the folder says how it ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rpe.chaos.history import FINISHED, HistoryWriter
from rpe.chaos.options import EMBEDDED
from rpe.chaos.performance import INTERRUPTED
from rpe.chaos.plan import Plan
from rpe.chaos.stalls import StallWatch
from rpe.chaos.timeline import Timeline
from rpe.chaos.verdict import Verdict
from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.errors import RpeError, redact
from rpe.load.results import ResultError, Results
from rpe.loadtest.cluster import Cluster
from rpe.loadtest.commands import environment, locustfiles
from rpe.loadtest.drawing import draw, scripted_faults, timeline_entries
from rpe.loadtest.evidence import fired
from rpe.loadtest.folder import LoadFolder
from rpe.loadtest.judging import judge
from rpe.loadtest.model import LoadPlan
from rpe.loadtest.world import Pool, open_pool

__all__ = ["LoadOptions", "run_load_plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """How a plan is run.

    Arguments:
        seed: the root of all chance.
        base: the folder that the plan's locustfile is named from.
        proxy: `embedded`, or the API of a Toxiproxy.
        tell: is told in a few words where the run is.
    """

    seed: int
    base: Path = Path()
    proxy: str = EMBEDDED
    tell: Callable[[str], None] = lambda words: None


async def run_load_plan(
    plan: LoadPlan, folder: LoadFolder, options: LoadOptions, *, clock: Clock = SYSTEM_CLOCK
) -> Verdict:
    """Run a plan once, and judge it.

    A run that did not go to its end is unknown, with the reason. Cancelling it takes
    everything down, writes that verdict, and raises. Raises ConfigurationError where the
    folder holds a run already.
    """
    folder.write_plan(plan)
    try:
        with HistoryWriter(folder.events_path, clock, clock.now()) as writer:
            await _Run(plan, folder, options, writer, clock).play()
    finally:
        verdict = judge(folder.path)
        folder.write_verdict(verdict)
    return verdict


class _Run:
    """A run while it is played; all times that it writes count from the beginning of the load."""

    def __init__(
        self, plan: LoadPlan, folder: LoadFolder, options: LoadOptions, writer: HistoryWriter, clock: Clock
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._options = options
        self._writer = writer
        self._clock = clock
        self._origin_s: float | None = None

    async def play(self) -> None:
        """Play the plan to its end, whatever that is, and write how it ended."""
        reason = INTERRUPTED
        try:
            drawn = draw(self._plan, self._options.seed)
            self._record(
                "run.start",
                plan=self._plan.name,
                seed=self._options.seed,
                proxy=self._options.proxy,
                versions=drawn.versions,
            )
            await self._play(drawn)
            reason = FINISHED
        except Exception as error:
            reason = _told(error)
        finally:
            self._record("run.end", reason=reason)

    async def _play(self, drawn: Plan) -> None:
        plan, options, clock = self._plan, self._options, self._clock
        faults = scripted_faults(plan, drawn)
        options.tell("starting servers and proxies")
        async with open_pool(
            plan,
            faults,
            seed=options.seed,
            proxy_url=None if options.proxy == EMBEDDED else options.proxy,
            draws=self._folder.draws_path,
            clock=clock,
        ) as pool:
            self._record("endpoints", endpoints=dict(pool.addresses))
            cluster = Cluster(
                plan,
                locustfiles(plan, options.base),
                environment(plan, pool.addresses, options.seed),
                result=self._folder.result_path,
                log=self._folder.log_path,
                clock=clock,
            )
            with StallWatch() as watch:
                async with cluster:
                    options.tell("starting Locust")
                    self._origin_s = await cluster.start()
                    options.tell(f"load for {plan.duration_s} s")
                    timeline = Timeline(
                        timeline_entries(plan, faults),
                        duration_s=plan.duration_s,
                        world=pool.world,
                        record=self._record,
                        clock=clock,
                        origin_s=self._origin_s,
                    )
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(timeline.play(), name="timeline")
                        tasks.create_task(cluster.watch(self._origin_s + plan.duration_s), name="cluster")
                    options.tell("waiting for the figures")
                    await cluster.finish()
            self._tell_stalls(watch)
            await self._tell_evidence(pool, drawn)

    def _tell_stalls(self, watch: StallWatch) -> None:
        for ended_s, lasted_s in watch.stalls:
            if ended_s > (self._origin_s or 0.0):
                self._record_at(ended_s - lasted_s, "machine.stall", {"seconds": round(lasted_s, 3)})

    async def _tell_evidence(self, pool: Pool, drawn: Plan) -> None:
        faults = scripted_faults(self._plan, drawn)
        told = await fired(pool, faults, self._results(), origin_s=self._origin_s or 0.0)
        for fault, count, evidence in told:
            self._record("fault.fired", fault=fault.name, kind=fault.kind, count=count, evidence=evidence)

    def _results(self) -> Results | None:
        try:
            return self._folder.load_results()
        except (OSError, ResultError):
            return None  # the judge will say so

    def _record(self, event: str, /, **fields: Any) -> None:
        self._record_at(self._clock.now(), event, fields)

    def _record_at(self, at_s: float, event: str, fields: Mapping[str, Any]) -> None:
        # What comes before the load begins is of time zero.
        self._writer.write_at(at_s - (at_s if self._origin_s is None else self._origin_s), event, fields)


def _told(error: Exception) -> str:
    """The reason of a run that did not finish, on one line."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    text = error.message if isinstance(error, RpeError) else f"{type(error).__name__}: {error}"
    return redact(" ".join(text.split()))
