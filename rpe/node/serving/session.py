"""One served session: chunks go into a run, and outputs back under the numbers of their chunks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from rpe.clock import Clock
from rpe.node.tagged import Settled, TaggedOutput, TaggedStream
from rpe.transport.serving import ServerSession

__all__ = ["serve_session"]

_BEFORE_CHUNKS = -1
"""The tag of what comes with the opening of a session, before its first chunk."""


async def serve_session(
    session: ServerSession, stream: TaggedStream, name_output: Callable[[str], str], clock: Clock
) -> None:
    """Feed a run with the chunks of a session until the caller closes it, and send back what it gives.

    Outputs go back in the order of their chunks. Where the branches of a pipeline are not equally
    fast, those of a later chunk wait until the earlier ones are settled; in a chain nothing waits.
    What nodes give when their input ends goes back under the number of the last chunk answered,
    or under a later one of their own.

    Raises what the run raises, and SessionBroken where the caller broke the rules.
    """
    answers = _Answers(session, name_output, clock)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_feed(session, stream, answers), name="session input")
            async for event in stream:
                await answers.take(event)
    except BaseExceptionGroup as errors:
        first = errors.exceptions[0]
        raise first from first.__cause__  # what a node raised is told by it


async def _feed(session: ServerSession, stream: TaggedStream, answers: _Answers) -> None:
    if session.inputs:
        answers.expect(_BEFORE_CHUNKS)
        await stream.send_all({key: [data] for key, data in session.inputs.items()}, _BEFORE_CHUNKS)
    while (chunk := await session.receive()) is not None:
        answers.expect(chunk.sequence)
        items = chunk.data.values() if isinstance(chunk.data, Mapping) else [chunk.data]
        await stream.send_all({chunk.node_id: items}, chunk.sequence)
    await stream.finish()


class _Chunk:
    """A chunk that is being worked on: since when, and the outputs that wait for earlier chunks."""

    def __init__(self, came_s: float) -> None:
        self.came_s = came_s
        self.settled = False
        self.held: list[TaggedOutput] = []


class _Answers:
    """Sends outputs in the order of the chunks that they belong to."""

    def __init__(self, session: ServerSession, name_output: Callable[[str], str], clock: Clock) -> None:
        self._session = session
        self._name_output = name_output
        self._clock = clock
        self._chunks: dict[int, _Chunk] = {}  # those that are not settled, and those behind them, in order
        self._last = 0

    def expect(self, sequence: int) -> None:
        """A chunk of that number, above all before, goes into the pipeline."""
        self._chunks[sequence] = _Chunk(self._clock.now())

    async def take(self, event: TaggedOutput | Settled) -> None:
        """Send an output, or hold it until its turn comes; learn that a chunk is settled."""
        chunk = None if event.tag is None else self._chunks.get(event.tag)
        if isinstance(event, TaggedOutput):
            if chunk is None or event.tag == next(iter(self._chunks)):
                await self._send(event, chunk)
            else:
                chunk.held.append(event)
        elif chunk is not None:
            chunk.settled = True
            await self._advance()

    async def _advance(self) -> None:
        while self._chunks:
            sequence, chunk = next(iter(self._chunks.items()))
            held, chunk.held = chunk.held, []
            for output in held:
                await self._send(output, chunk)
            if not chunk.settled:
                return
            del self._chunks[sequence]

    async def _send(self, output: TaggedOutput, chunk: _Chunk | None) -> None:
        self._last = max(self._last, output.tag or 0)
        took_s = 0.0 if chunk is None else self._clock.now() - chunk.came_s
        outputs = {self._name_output(output.node): output.data}
        await self._session.send(self._last, outputs, processing_ms=took_s * 1000)
