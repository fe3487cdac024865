"""`python -m rpe.load.engine FD`: the load engine, which takes orders from the socket of that number.

It ends when the socket does, and so also when whoever started it is killed. It says that it is
alive once a second, so that its owner can tell an engine that is busy from one that hangs.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict
from itertools import cycle
from typing import Any

from rpe.client import ReliableClient, connect
from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.data import RuntimeData
from rpe.errors import RpeError, redact
from rpe.load.calls import CALL, AttemptSamples, Call, Outcomes, execute, stream
from rpe.load.frames import Frame, FrameReader, pack, pack_done, unpack_again
from rpe.load.loops import Loop
from rpe.load.messages import (
    brief,
    config_from_json,
    pack_outputs,
    settings_from_json,
    unpack_data,
)
from rpe.load.recording import Recorder
from rpe.load.schedules import Pauses, Schedule
from rpe.load.sources import Source
from rpe.manifest.model import Manifest

__all__ = ["Engine", "main"]

Order = Mapping[str, Any]
"""What an order says: its `op`, and what belongs to that."""

Work = Callable[[Call, float | None], Coroutine[Any, Any, Outcomes]]
"""An execution or a session, made for a call that was due at that moment (None: now)."""

_TICK_S = 0.1
"""How often samples are handed on, for statistics that someone looks at while the test runs."""

_TICKS_OF_ROWS = 10
"""Rows, which are larger, go with every so many ticks; and so does the word that the engine is alive."""

_HOLD_S, _FEW = 0.001, 4
"""How long an answer is kept for others to go with it, where more than a few calls are under way."""

_CLOSE_S = 3.0
"""How long connections may take to be closed, once the owner has gone."""


class Engine:
    """Carries out orders that come in as frames, and writes answers and what was measured to `writer`.

    Answers are kept for a moment, and go out in one piece. (Latencies are measured before.)
    What was measured goes out ten times a second as samples, once a second as rows, and all of
    it before the answer to a `flush`.
    `on_end` is called when the input has ended, before anything is closed.
    """

    def __init__(
        self, writer: asyncio.StreamWriter, *, clock: Clock = SYSTEM_CLOCK, on_end: Callable[[], object]
    ) -> None:
        self._writer = writer
        self._on_end = on_end
        self._clock = clock
        self._clients: dict[int, tuple[ReliableClient, frozenset[str]]] = {}
        self._manifests: dict[int, Manifest] = {}
        self._data: dict[int, RuntimeData] = {}
        self._calls: dict[int, tuple[list[Call], asyncio.Task[None]]] = {}
        self._orders: dict[int, Order] = {}
        self._driven: dict[int, Source | Loop] = {}
        self._recorder = Recorder(clock.now())
        self._answers: list[bytes] = []
        self._flushing = False
        self._open = AsyncExitStack()

    async def run(self, reader: asyncio.StreamReader) -> None:
        """Take orders until the input ends; then end all calls and close all connections."""
        self._answer({"ready": True})
        ticking = asyncio.create_task(self._tick(), name="rpe load engine tick")
        frames = FrameReader()
        try:
            while piece := await reader.read(1 << 18):
                for frame in frames.feed(piece):
                    await self._take(frame)
        except ConnectionError:
            pass  # an owner that was killed has left something unread: it is gone all the same
        finally:
            self._on_end()
            tasks = [ticking, *(task for _, task in self._calls.values())]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._open.aclose()

    async def _take(self, frame: Frame) -> None:
        head = frame.head
        if not head:
            number, order = unpack_again(frame)
            self._begin(number, self._orders[order])
            return
        match head["op"]:
            case "execute":
                self._begin(head["call"], head)
            case "order":
                self._orders[head["id"]] = head
            case "stream":
                self._start(head["call"], head, self._stream(head))
            case "arrive" | "loop":
                self._start(head["call"], head, self._drive(head))
            case "halt":
                await self._clock.sleep(0)  # what was ordered in the same breath comes to be
                if driven := self._driven.get(head["call"]):
                    driven.halt()
            case "clock":
                self._recorder.restart(head["zero_s"])
            case "flush":
                self._hand_on(rows=True)
                self._answer({"call": head["call"]})
            case "cancel":
                if found := self._calls.get(head["call"]):
                    for call in found[0]:
                        call.abandoned = True
                    found[1].cancel()
            case "data":
                self._data[head["id"]] = unpack_data(frame.body)
            case "drop":
                del self._data[head["id"]]
                for order in head["orders"]:
                    del self._orders[order]
            case "manifest":
                self._manifests[head["id"]] = Manifest.from_json(frame.body)
            case "client":
                await self._connect(head)

    async def _connect(self, head: dict[str, Any]) -> None:
        """Make a client; nothing is sent to its endpoints yet, so this takes no time."""
        report = frozenset(head["report"])
        try:
            client = connect(
                head["endpoints"],
                transport=head["transport"],
                settings=settings_from_json(head["settings"]),
                observers=[AttemptSamples()] if "attempt" in report else [],
                **config_from_json(head["config"]),
            )
            await self._open.enter_async_context(client)
        except Exception as error:
            text, hint = (error.message, error.hint) if isinstance(error, RpeError) else (brief(error), "")
            self._answer({"call": head["call"], "error": brief(error), "text": redact(text), "hint": hint})
            return
        self._clients[head["id"]] = client, report
        self._answer({"call": head["call"]})

    def _start(self, number: int, order: Order, work: Coroutine[Any, Any, None]) -> None:
        call = self._named(order["client"], order["name"])
        task = asyncio.create_task(self._run(number, call, work))
        self._calls[number] = [call], task

    def _named(self, client: int, name: str) -> Call:
        """Return what a call by that name reports to."""
        report, record = self._clients[client][1], self._recorder.record

        def take(kind: str, name: str, due_s: float, latency_s: float, size: int, error: str | None) -> None:
            if kind in report:
                record(kind, name, due_s, latency_s, size, error)

        return Call(name, take)

    async def _run(self, number: int, call: Call, work: Coroutine[Any, Any, None]) -> None:
        CALL.set(call)
        try:
            await work
        except Exception as error:  # a fault of the engine itself, which must not leave its owner waiting
            while isinstance(error, ExceptionGroup):
                error = error.exceptions[0]
            self._answer({"call": number, "error": brief(error), "text": redact(str(error))})
        finally:
            del self._calls[number]

    def _begin(self, number: int, order: Order) -> None:
        self._start(number, order, self._execute(number, order))

    async def _execute(self, number: int, order: Order) -> None:
        done = await self._executing(order)(self._call(number), None)
        outputs = pack_outputs(done.outputs) if order["keep"] else b""
        if done.error is None:
            self._send(pack_done(number, done.latency_s, outputs))
        else:
            self._answer(self._told(number, done), outputs)

    async def _stream(self, head: dict[str, Any]) -> None:
        done = await self._streaming(head)(self._call(head["call"]), None)
        packed = [(result.sequence, pack_outputs(result.outputs)) for result in done.results]
        results = [(sequence, len(body)) for sequence, body in packed]
        told = {"results": results, "sent": done.sent, "answered": done.answered}
        self._answer(self._told(head["call"], done) | told, b"".join(body for _, body in packed))

    def _work(self, head: Order) -> Work:
        return self._executing(head) if head["op"] == "execute" else self._streaming(head)

    def _executing(self, head: Order) -> Work:
        """Return the execution that is ordered, to be made as often as wanted."""
        client, clock = self._clients[head["client"]][0], self._clock
        manifest, data = self._manifests[head["manifest"]], head["data"]
        inputs = (
            {node: self._data[number] for node, number in data.items()}
            if isinstance(data, dict)
            else self._data[data]
        )
        timeout_s, repeatable = head["timeout_s"], head["repeatable"]
        return lambda call, due_s: execute(
            call, client, clock, manifest, inputs, timeout_s, repeatable, due_s
        )

    def _streaming(self, head: Order) -> Work:
        """Return the session that is ordered, to be held as often as wanted."""
        client, clock = self._clients[head["client"]][0], self._clock
        manifest = self._manifests[head["manifest"]]
        chunks = [self._data[number] for number in head["chunks"]]
        every_s, keep = head["every_s"], head["keep"]
        timeout_s, repeatable = head["timeout_s"], head["repeatable"]
        return lambda call, due_s: stream(
            call, client, clock, manifest, chunks, every_s, timeout_s, repeatable, keep, due_s
        )

    async def _drive(self, head: dict[str, Any]) -> None:
        """Run a source or a loop until it ends or is halted. Its works take turns."""
        number, client = head["call"], head["client"]
        works = [
            (each["op"], self._named(client, each["name"]), self._work(each | {"client": client}))
            for each in head["works"]
        ]
        self._calls[number][0].extend(call for _, call, _ in works)
        turn = cycle(works)

        def work(due_s: float) -> Coroutine[Any, Any, None]:
            _, call, start = next(turn)
            return _due(call, start, due_s)

        def missed(due_s: float) -> None:
            kind, call, _ = next(turn)
            self._recorder.miss(kind, call.name, due_s)

        clock = self._clock
        driven: Source | Loop
        if head["op"] == "loop":
            driven = Loop(Pauses(**head["pauses"]).each_s(), work, clock=clock)
        else:
            due_s = Schedule(**head["schedule"]).due_s(clock.now())
            driven = Source(due_s, work, missed, max_in_flight=head["max_in_flight"], clock=clock)
        self._driven[number] = driven
        try:
            tally = await driven.run()
        finally:
            del self._driven[number]
        self._answer({"call": number, "tally": asdict(tally)})

    def _call(self, number: int) -> Call:
        return self._calls[number][0][0]

    @staticmethod
    def _told(number: int, done: Outcomes) -> dict[str, Any]:
        told: dict[str, Any] = {"call": number, "latency_s": done.latency_s}
        if done.error is not None:
            told |= {"error": brief(done.error), "text": redact(str(done.error))}
        return told

    async def _tick(self) -> None:
        ticks = 0
        while True:
            await self._clock.sleep(_TICK_S)
            ticks += 1
            self._hand_on(rows=ticks % _TICKS_OF_ROWS == 0)
            if ticks % _TICKS_OF_ROWS == 0:
                self._answer({"tick": True})

    def _hand_on(self, *, rows: bool) -> None:
        """Send what was measured since the last time."""
        if samples := self._recorder.take_samples():
            self._answer({"samples": [each.as_json() for each in samples]})
        if rows and (taken := self._recorder.take_rows()):
            self._answer({"rows": [each.as_json() for each in taken]})

    def _answer(self, head: dict[str, Any], body: bytes = b"") -> None:
        self._send(pack(head, body))

    def _send(self, message: bytes) -> None:
        self._answers.append(message)
        self._flush_soon()

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            # Waking the owner costs more than a call: of many that run, some others are done in a moment.
            loop, hold_s = asyncio.get_running_loop(), _HOLD_S if len(self._calls) > _FEW else 0.0
            loop.call_later(hold_s, self._flush)

    def _flush(self) -> None:
        self._flushing = False
        answers, self._answers = self._answers, []
        self._writer.write(b"".join(answers))


async def _due(call: Call, work: Work, due_s: float) -> None:
    CALL.set(call)
    await work(call, due_s)


async def _serve(number: int) -> None:
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=number))
    await Engine(writer, on_end=_end_for_certain).run(reader)
    writer.close()


def _end_for_certain() -> None:
    """Give the process `_CLOSE_S` seconds to live, whatever closing the connections takes."""
    last = threading.Timer(_CLOSE_S, os._exit, (0,))
    last.daemon = True
    last.start()


def main() -> None:
    """Serve the socket whose number is the first argument."""
    # Ctrl-C is for the owner, who ends its calls in good order and then closes the socket.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(_serve(int(sys.argv[1])))


if __name__ == "__main__":
    main()
