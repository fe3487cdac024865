"""The calls that the engine makes, each measured from the moment at which it was due."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol

from rpe.client import ReliableClient, StreamSession
from rpe.clock import Clock
from rpe.data import RuntimeData
from rpe.errors import SessionClosed, StreamBroken
from rpe.load.messages import brief
from rpe.load.sizes import size_of
from rpe.manifest.model import Manifest
from rpe.policy.outcome import Outcome
from rpe.telemetry.record import AttemptRecord, Observer
from rpe.transport.ports import ChunkResult

__all__ = ["CALL", "AttemptSamples", "Call", "Outcomes", "Report", "execute", "stream"]


class Report(Protocol):
    """What takes a measurement."""

    def __call__(
        self, kind: str, name: str, due_s: float, latency_s: float, size: int, error: str | None, /
    ) -> None:
        """Take one, of an operation that was due at `due_s`; `error` is None where it went well."""
        ...


@dataclass(slots=True)
class Call:
    """What one call is named in the report, and where its measurements go.

    `abandoned` says that its owner has left: nothing of it is reported any more.
    """

    name: str
    report: Report
    abandoned: bool = False


CALL: ContextVar[Call | None] = ContextVar("rpe_load_call", default=None)
"""The call that the running task works for, which attempts are reported under."""


@dataclass(slots=True)
class Outcomes:
    """What a call came to: its error, or its outputs; of a session also the counts of its chunks."""

    latency_s: float = 0.0
    error: BaseException | None = None
    outputs: Mapping[str, RuntimeData] = field(default_factory=dict)
    sent: int = 0
    answered: int = 0
    results: list[ChunkResult] = field(default_factory=list)


class AttemptSamples(Observer):
    """Reports each attempt under the name of its call and the endpoint that it went to."""

    def on_attempt(self, record: AttemptRecord) -> None:
        """Report an attempt that has ended, unless it was ended from this side."""
        call = CALL.get()
        if call is None or call.abandoned or (record.error is None and record.outcome is Outcome.NEUTRAL):
            return
        error = None if record.error is None else brief(record.error)
        name, latency_s = f"{call.name} @ {record.endpoint}", record.ended_s - record.started_s
        call.report("attempt", name, record.started_s, latency_s, 0, error)


async def execute(
    call: Call,
    client: ReliableClient,
    clock: Clock,
    manifest: Manifest,
    data: RuntimeData | Mapping[str, RuntimeData],
    timeout_s: float | None,
    repeatable: bool | None,
    due_s: float | None = None,
) -> Outcomes:
    """Run a pipeline once, report it, and return what came of it; only cancellation is raised.

    Its latency counts from `due_s` on the clock; from now, where that is None.
    """
    done = Outcomes()
    started_s = clock.now() if due_s is None else due_s
    try:
        result = await client.execute(manifest, data, timeout_s=timeout_s, repeatable=repeatable)
        done.outputs = result.outputs
    except Exception as error:
        done.error = error
    done.latency_s = clock.now() - started_s
    _report(call, "execute", started_s, done.latency_s, size_of(done.outputs), done.error)
    return done


async def stream(
    call: Call,
    client: ReliableClient,
    clock: Clock,
    manifest: Manifest,
    chunks: Sequence[RuntimeData],
    every_s: float,
    timeout_s: float | None,
    repeatable: bool | None,
    keep: bool,
    due_s: float | None = None,
) -> Outcomes:
    """Send chunks through a session, one each `every_s` seconds, report it all, and return what came of it.

    The latency of a chunk counts to its first result, from the moment at which it was due
    (where `every_s` is 0: from when it was handed to the wire). `keep` says that the results
    are wanted; otherwise only their number is kept. The session itself is due at `due_s` on
    the clock (None: now), and its chunks from when it is open. Only cancellation is raised.
    """
    done = Outcomes()
    started_s = clock.now() if due_s is None else due_s
    waiting: dict[int, float] = {}
    opened = False
    sending: asyncio.Task[None] | None = None
    try:
        session = await client.open_stream(manifest, timeout_s=timeout_s, repeatable=repeatable)
        opened = True
        _report(call, "open", started_s, clock.now() - started_s, 0, None)
        async with session:
            sending = asyncio.create_task(_send(session, chunks, every_s, clock, waiting, done))
            try:
                await _receive(call, session, clock, waiting, done, keep)
                if done.sent < len(chunks):
                    raise StreamBroken("the server closed the session before all chunks were sent")
                await sending
            finally:
                sending.cancel()
                await asyncio.wait([sending])
    except Exception as error:
        done.error = _cause(error, sending)
        if not opened:
            _report(call, "open", started_s, clock.now() - started_s, 0, done.error)
        for when_s in waiting.values():
            _report(call, "chunk", when_s, clock.now() - when_s, 0, done.error)
    done.latency_s = clock.now() - started_s
    _report(call, "stream", started_s, done.latency_s, 0, done.error)
    return done


def _cause(error: Exception, sending: asyncio.Task[None] | None) -> BaseException:
    """Return what ended a session: a chunk that could not be sent, or else what its receiver was told."""
    if sending is not None and not sending.cancelled():
        refused = sending.exception()
        if refused is not None and isinstance(error, SessionClosed):
            return refused
    return error


async def _send(
    session: StreamSession,
    chunks: Sequence[RuntimeData],
    every_s: float,
    clock: Clock,
    waiting: dict[int, float],
    done: Outcomes,
) -> None:
    """Send every chunk when it is due, and say that no more follow. A send that fails ends the session."""
    try:
        first_s = clock.now()
        for number, chunk in enumerate(chunks):
            if every_s > 0:
                due_s = first_s + number * every_s
                await clock.sleep_until(due_s)
            else:
                due_s = clock.now()
            waiting[number] = due_s
            await session.send(chunk, sequence=number)
            done.sent += 1
        await session.finish()
    except BaseException:
        session.cancel()
        raise


async def _receive(
    call: Call,
    session: StreamSession,
    clock: Clock,
    waiting: dict[int, float],
    done: Outcomes,
    keep: bool,
) -> None:
    """Take the results until the session ends. A result confirms every chunk before its own."""
    async for result in session:
        due_s = waiting.pop(result.sequence, None)
        if due_s is not None:
            _report(call, "chunk", due_s, clock.now() - due_s, size_of(result.outputs), None)
            done.answered += 1
            for earlier in [number for number in waiting if number < result.sequence]:
                del waiting[earlier]
        if keep:
            done.results.append(result)


def _report(
    call: Call, kind: str, due_s: float, latency_s: float, size: int, error: BaseException | None
) -> None:
    if not call.abandoned:
        call.report(kind, call.name, due_s, latency_s, size, None if error is None else brief(error))
