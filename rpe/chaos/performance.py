"""The playing of one plan: world, client, timeline and load, from the first start to the last stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rpe.chaos.evidence import count_fired
from rpe.chaos.guards import ScriptedFault
from rpe.chaos.history import FINISHED, History, HistoryWriter
from rpe.chaos.options import EMBEDDED, Phase, RunOptions
from rpe.chaos.pipeline import pipeline_of
from rpe.chaos.placing import Places
from rpe.chaos.plan import Plan, fault_steps
from rpe.chaos.recorder import Recorder
from rpe.chaos.references import learn_answers
from rpe.chaos.resources import Snapshot, settled_snapshot, take_snapshot
from rpe.chaos.scenario.faults import Timed
from rpe.chaos.scenario.matrix import Cell
from rpe.chaos.shielding import bring_to_end
from rpe.chaos.stalls import StallWatch
from rpe.chaos.subject import Subject, SubjectContext, SubjectFactory, load_subject
from rpe.chaos.subject_care import close, drained, warm_up
from rpe.chaos.timeline import Beginning, Entry, Timeline
from rpe.chaos.workload.inputs import pieces_of
from rpe.chaos.workload.load import Load, Operate, Tally, run_load
from rpe.chaos.workload.recordings import Recordings
from rpe.chaos.workload.stream import stream
from rpe.chaos.workload.unary import unary
from rpe.chaos.world.wire import WireWorld
from rpe.clock import Clock
from rpe.errors import RpeError, redact
from rpe.faults.actions import Signal
from rpe.faults.seeds import derive_seed

__all__ = ["INTERRUPTED", "Performance"]

INTERRUPTED = "interrupted"
"""The reason in `run.end` of a run that was cancelled from outside."""

logger = logging.getLogger(__name__)

OPERATIONS: Mapping[str, Operate] = {"unary": unary, "stream": stream}


class Performance:
    """Plays the plan of one cell, once, and writes all that happens into a history.

    Arguments:
        cell, plan: what is played; the plan is drawn from the cell.
        options: the client under test, the proxy, the seed.
        writer: takes the history; its owner closes it.
        clock: the time of everything.
    """

    def __init__(
        self, cell: Cell, plan: Plan, options: RunOptions, writer: HistoryWriter, clock: Clock
    ) -> None:
        self._cell = cell
        self._plan = plan
        self._options = options
        self._clock = clock
        self._history_path = writer.path
        self._names: dict[str, str] = {}
        self._expected: dict[str, str] = {}
        self._recorder = Recorder(writer, clock, self._names)
        self._faults = [
            ScriptedFault(
                fault.name,
                fault.kind,
                fault.settings.targets,
                fault_steps(fault, plan.windows[fault.name], plan.seed),
            )
            for fault in cell.scenario.faults
        ]
        self._pieces = [pieces_of(workload) for workload in plan.workloads]
        self._timeline: Timeline | None = None
        self._problem: Exception | None = None
        self.tally = Tally()
        self.phase: Phase = "starting"

    @property
    def now_s(self) -> float:
        """Seconds since the run began; zero before."""
        return self._recorder.now_s()

    @property
    def active_faults(self) -> tuple[str, ...]:
        """The faults in force now."""
        return () if self._timeline is None else tuple(self._timeline.active)

    async def play(self) -> str:
        """Play the plan, and return the reason for its end: `finished`, or what went wrong.

        Cancelling it heals all faults, closes the client and takes the world down first.
        """
        plan, options = self._plan, self._options
        self._recorder.record(
            "run.start",
            scenario=plan.scenario,
            cell=plan.cell,
            seed=plan.seed,
            subject=options.subject,
            proxy=options.proxy,
            versions=plan.versions,
        )
        reason = INTERRUPTED
        try:
            with TemporaryDirectory(prefix="rpe-run-") as folder, StallWatch() as watch:
                await self._play(Path(folder))
            for ended_s, lasted_s in watch.stalls:
                if ended_s <= (self._recorder.origin_s or 0.0):
                    continue  # before the run began: nothing in it was late for that
                self._recorder.record_at(ended_s - lasted_s, "machine.stall", {"seconds": round(lasted_s, 3)})
            reason = FINISHED
        except Exception as error:
            logger.exception("the run could not go to its end")
            reason = _told(error)
        finally:
            self._recorder.record("run.end", reason=reason)
        return reason

    async def _play(self, folder: Path) -> None:
        plan, options, clock = self._plan, self._options, self._clock
        factory = load_subject(options.subject)
        scenario = self._cell.scenario
        places = Places.make(scenario, plan.transport, folder)
        async with WireWorld(
            scenario.servers,
            transport=plan.transport,
            wires=places.wires,
            certificates=places.certificates,
            tokens=places.tokens,
            processes=self._signalled(),
            proxy_url=None if options.proxy == EMBEDDED else options.proxy,
            proxy_prefix=options.proxy_prefix,
            draws=self._history_path.with_name("draws.jsonl"),
            seed=derive_seed(plan.seed, "world"),
            clock=clock,
        ) as world:
            self._names.update({address: name for name, address in world.endpoints.items()})
            manifest = places.manifest(world.endpoints) if scenario.pools else pipeline_of(scenario.manifest)
            input_name = manifest.entry
            context = SubjectContext(
                endpoints=dict(world.endpoints),
                transport=plan.transport,
                request=scenario.client,
                manifest=manifest,
                seed=derive_seed(plan.seed, "subject"),
                report=self._recorder.report,
                pipeline=bool(scenario.pools),
            )
            # Counted from a task of its own, as the counting at the end is.
            baseline = await asyncio.create_task(self._warmed_up(world, factory, context, input_name))
            subject = await factory(context)
            try:
                self._recorder.begin()
                self.phase = "running"
                self._recorder.record("resource", when="baseline", **baseline.as_fields())
                await self._perform(world, subject, input_name)
            finally:
                self.phase = "ending"
                await bring_to_end(self._end(world, subject, baseline))
            if self._problem is not None:
                raise self._problem

    async def _warmed_up(
        self, world: WireWorld, factory: SubjectFactory, context: SubjectContext, input_name: str
    ) -> Snapshot:
        """Warm everything up, give the servers their scripts, and return what the process then holds."""
        before = take_snapshot()
        # What other clients than the one under test do is not of the run.
        context = replace(context, report=lambda event, fields: None)
        if context.pipeline:
            pieces = Recordings()
            heard = [pieces.piece(number) for number in range(len(pieces))]
            self._expected = await learn_answers(factory, context, input_name, heard, clock=self._clock)
        await warm_up(factory, context, input_name, self._pieces[0].piece(0), clock=self._clock)
        await world.begin()
        return await settled_snapshot(self._clock, before, world.forget_clients)

    async def _perform(self, world: WireWorld, subject: Subject, input_name: str) -> None:
        """Play timeline and load side by side, until all operations have ended and all faults are healed."""
        plan, clock, record = self._plan, self._clock, self._recorder.record
        origin_s = self._recorder.origin_s or 0.0
        load = Load(
            subject,
            record,
            clock,
            origin_s,
            input_name,
            names=self._names,
            expected=self._expected,
            attempts=self._recorder.attempts,
            max_running=self._options.max_running,
            tally=self.tally,
        )
        self._timeline = Timeline(
            self._entries(),
            duration_s=plan.duration_s,
            world=world,
            record=record,
            clock=clock,
            origin_s=origin_s,
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._timeline.play(), name="timeline")
            for workload, pieces in zip(plan.workloads, self._pieces, strict=True):
                operate = OPERATIONS[workload.kind]
                tasks.create_task(run_load(load, workload, operate, pieces), name=workload.name)

    async def _end(self, world: WireWorld, subject: Subject, baseline: Snapshot) -> None:
        """Close the client, count what it left, and gather what the servers and the proxies saw."""
        try:
            in_flight = await drained(subject, self._recorder, self._clock)
            await close(subject, self._recorder, self._clock)
            final = await settled_snapshot(self._clock, baseline, world.forget_clients)
            fields = {**final.as_fields(), "in_flight": in_flight}
            self._recorder.record("resource", when="final", **fields)
            for line in await world.journal():
                self._recorder.record_at(line.at_s, f"server.{line.kind}", line.fields)
            await self._tell_evidence(world)
        except Exception as error:
            # Kept for later: what is raised while a cancellation is under way would take its place.
            self._problem = error

    async def _tell_evidence(self, world: WireWorld) -> None:
        history = History.load(self._history_path)
        origin_s = self._recorder.origin_s or 0.0
        for fault in self._faults:
            keys = dict.fromkeys(f"{fault.name}.{step.key}" for step in fault.steps)
            known = {key: found for key in keys if (found := await world.evidence(key)) is not None}
            count, told = count_fired(known, history, origin_s=origin_s)
            self._recorder.record(
                "fault.fired", fault=fault.name, kind=fault.kind, count=count, evidence=told
            )

    def _entries(self) -> list[Entry]:
        scenario = self._cell.scenario
        faults = [
            Entry(entry.name, _beginning(entry), entry.for_s, fault)
            for entry, fault in zip(scenario.faults, self._faults, strict=True)
        ]
        return faults + [Entry(entry.name, _beginning(entry), entry.for_s) for entry in scenario.windows]

    def _signalled(self) -> dict[str, bool]:
        """The servers that need a process, and whether it has to come back after its end."""
        signals = [
            step.action for fault in self._faults for step in fault.steps if isinstance(step.action, Signal)
        ]
        return {
            signal.server: any(other.server == signal.server and other.what != "pause" for other in signals)
            for signal in signals
        }


def _beginning(entry: Timed) -> Beginning:
    if entry.after is None:
        return Beginning(entry.at_s or 0.0)
    return Beginning(entry.after.delay_s, entry.after.window, entry.after.edge)


def _told(error: Exception) -> str:
    """The reason of a run that did not finish, on one line."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    text = error.message if isinstance(error, RpeError) else f"{type(error).__name__}: {error}"
    return redact(" ".join(text.split()))
