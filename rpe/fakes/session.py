"""One session of a fake server, by its script."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping

from rpe.clock import Clock
from rpe.data import RuntimeData
from rpe.fakes.behaviour import Behaviour, Corrupt, CorruptMode, CutHow
from rpe.fakes.corruption import DAMAGE, EVENT_DAMAGE, garbage, strangers
from rpe.fakes.decide import Plan
from rpe.fakes.graph import Graph
from rpe.fakes.journal import Kind
from rpe.fakes.media import MediaLine, Outgoing
from rpe.fakes.media_script import EndMissing
from rpe.fakes.nodes import NodeFailed
from rpe.fakes.record import CallRecord
from rpe.fakes.service_work import work
from rpe.transport.serving import (
    ApplicationError,
    ConnectionCut,
    Damage,
    ErrorType,
    ReceivedChunk,
    Refusal,
    ServerSession,
)

__all__ = ["FakeSession"]


class _Ended(Exception):
    """The script has ended the session."""


class FakeSession:
    """Serves one session from `ready` to its end. `recheck` raises Refusal where its caller must go."""

    def __init__(
        self,
        session: ServerSession,
        graph: Graph,
        behaviour: Behaviour,
        plan: Plan,
        rng: random.Random,
        record: CallRecord,
        clock: Clock,
        recheck: Callable[[], None],
    ) -> None:
        self._session = session
        self._recheck = recheck
        self._graph = graph
        self._latency = behaviour.latency
        self._script = behaviour.stream
        self._corrupt = plan.corrupt
        self._service = plan.service
        self._line = None if plan.media is None else MediaLine(plan.media)
        self._events = behaviour.http.events
        self._events_rng = random.Random(plan.http.events_seed)
        self._rng = rng
        self._record = record
        self._clock = clock
        self._results = 0
        self._chunks = 0
        self._busy_s = 0.0
        self._next_result_s = 0.0

    async def serve(self, session_id: str) -> None:
        """Say `ready`, answer chunks until the caller closes or the script ends it."""
        self._record.write(Kind.READY, detail=session_id)
        await self._session.ready(session_id)
        try:
            await self._follow_script()
            while (chunk := await self._session.receive()) is not None:
                self._recheck()
                await self._take(chunk)
            closings = 1 if self._line is None else await self._end(self._line)
        except _Ended:
            return
        except NodeFailed as failed:
            await self._fail(failed.error)
            return
        self._record.write(Kind.SENT, detail=f"{self._results} results")
        for _ in range(closings):
            await self._session.closed("closed by the caller")

    async def _take(self, chunk: ReceivedChunk) -> None:
        data = chunk.data if isinstance(chunk.data, Mapping) else {chunk.node_id: chunk.data}
        self._record.write(Kind.CHUNK, sequence=chunk.sequence, content=self._record.hashes(data))
        started_s = self._clock.now()
        if self._latency is not None:
            latency_s = self._latency.draw_s(self._rng)
            self._record.fault("latency", f"{latency_s:.6f}", sequence=chunk.sequence)
            await self._clock.sleep(latency_s)
        if self._service is not None:
            await work(self._service, data.values(), self._clock, self._record, chunk.sequence)
        given = await self._graph.run({chunk.node_id: list(data.values())})
        spent_s = self._clock.now() - started_s
        for outputs in self._rows(given):
            if self._line is None:
                await self._send(chunk.sequence, outputs, spent_s * 1000)
            else:
                await self._let_out(self._line.feed(chunk.sequence, outputs), spent_s * 1000)
        self._chunks += 1
        self._busy_s += spent_s
        every = self._script.metrics_every
        if every and self._chunks % every == 0:
            await self._session.send_metrics(self._chunks, self._busy_s / self._chunks * 1000)

    def _rows(self, given: Mapping[str, list[RuntimeData]]) -> list[dict[str, RuntimeData]]:
        """Return one set of outputs for each result: the n-th of each node together."""
        rows = max((len(results) for results in given.values()), default=0)
        return [
            {
                self._graph.name_output(node_id): results[i]
                for node_id, results in given.items()
                if i < len(results)
            }
            for i in range(rows)
        ]

    async def _send(self, sequence: int, outputs: Mapping[str, RuntimeData], spent_ms: float) -> None:
        if self._script.drip_s:
            if self._clock.now() < self._next_result_s:
                self._record.fault("drip", sequence=sequence)
                await self._clock.sleep_until(self._next_result_s)
            self._next_result_s = self._clock.now() + self._script.drip_s
        corrupt, self._corrupt = self._corrupt, None
        if corrupt is not None:
            await self._send_corrupted(corrupt, sequence, outputs, spent_ms)
        else:
            damage = self._disturb(sequence)
            self._record.write(Kind.RESULT, sequence=sequence, content=self._record.hashes(outputs))
            await self._session.send(sequence, outputs, processing_ms=spent_ms, damage=damage)
        self._results += 1
        await self._follow_script()

    async def _let_out(self, results: list[Outgoing], spent_ms: float) -> None:
        """Send what the faults of audio leave of the results."""
        for result in results:
            for fault, detail in result.told:
                self._record.fault(fault, detail, sequence=result.sequence)
            if result.wait_s:
                await self._clock.sleep(result.wait_s)
            if result.outputs is not None:
                await self._send(result.sequence, result.outputs, spent_ms)

    async def _end(self, line: MediaLine) -> int:
        """Send what waits, and return how often the session is to be closed. Raises _Ended for never."""
        await self._let_out(line.flush(), 0.0)
        fault, told = line.end()
        for name, detail in told:
            self._record.fault(name, detail)
        if not isinstance(fault, EndMissing):
            return 1 if fault is None else 2
        if fault.hang:
            await asyncio.get_running_loop().create_future()
        self._record.write(Kind.FAILED, detail="ended without being closed")
        raise _Ended

    def _disturb(self, sequence: int) -> Damage | None:
        """Return what happens to the event of the next result."""
        events = self._events
        if events is None or not events.fires(self._results, self._events_rng.random()):
            return None
        self._record.fault("http_event", events.how, sequence=sequence)
        return EVENT_DAMAGE[events.how]

    async def _send_corrupted(
        self, corrupt: Corrupt, sequence: int, outputs: Mapping[str, RuntimeData], spent_ms: float
    ) -> None:
        self._record.fault("corrupt", corrupt.mode, sequence=sequence)
        if corrupt.mode is CorruptMode.GARBAGE:
            await self._session.send_raw(garbage(self._rng))
            return
        if corrupt.mode is CorruptMode.WRONG_OUTPUT:
            outputs = strangers(outputs)
        self._record.write(Kind.RESULT, sequence=sequence, content=self._record.hashes(outputs))
        damage = DAMAGE.get(corrupt.mode)
        await self._session.send(sequence, outputs, processing_ms=spent_ms, damage=damage)

    async def _follow_script(self) -> None:
        """End the session where the script wants that after so many results."""
        script = self._script
        if script.error_after == self._results:
            self._record.fault("stream_error", f"after {self._results} results")
            await self._fail(ApplicationError(ErrorType.NODE_EXECUTION, "scripted failure in the stream"))
            raise _Ended
        if script.cut_after != self._results:
            return
        self._record.fault("cut", f"{script.how} after {self._results} results")
        if script.how is CutHow.RESET:
            raise ConnectionCut
        if script.how is CutHow.STATUS:
            raise Refusal(script.status, "scripted end of the stream")
        if script.how is CutHow.SILENCE:
            await asyncio.get_running_loop().create_future()
        self._record.write(Kind.FAILED, detail="ended without being closed")
        raise _Ended

    async def _fail(self, error: ApplicationError) -> None:
        self._record.failed(error)
        await self._session.send_error(error)
