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
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

from rpe.client import ReliableClient, connect
from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.data import RuntimeData
from rpe.errors import RpeError, redact
from rpe.load.calls import CALL, AttemptSamples, Call, Outcomes, execute, stream
from rpe.load.frames import Frame, FrameReader, pack
from rpe.load.messages import (
    Sample,
    brief,
    config_from_json,
    pack_outputs,
    settings_from_json,
    unpack_data,
)
from rpe.manifest.model import Manifest

__all__ = ["Engine", "main"]

_TICK_S = 1.0
_CLOSE_S = 3.0
"""How long connections may take to be closed, once the owner has gone."""


class Engine:
    """Carries out orders that come in as frames, and writes samples and answers to `writer`.

    Samples and answers are kept until the loop has done all that was ready, and go out in
    one piece: samples first, so that a call whose answer is seen is in the report.
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
        self._calls: dict[int, tuple[Call, asyncio.Task[None]]] = {}
        self._samples: list[Sample] = []
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
        match head["op"]:
            case "execute":
                self._start(head, self._execute(head))
            case "stream":
                self._start(head, self._stream(head))
            case "cancel":
                if found := self._calls.get(head["call"]):
                    found[0].abandoned = True
                    found[1].cancel()
            case "data":
                self._data[head["id"]] = unpack_data(frame.body)
            case "drop":
                del self._data[head["id"]]
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

    def _start(self, head: dict[str, Any], work: Coroutine[Any, Any, None]) -> None:
        number = head["call"]
        report = self._clients[head["client"]][1]

        def take(sample: Sample) -> None:
            if sample.kind in report:
                self._samples.append(sample)
                self._flush_soon()

        call = Call(head["name"], take)
        task = asyncio.create_task(self._run(number, call, work))
        self._calls[number] = call, task

    async def _run(self, number: int, call: Call, work: Coroutine[Any, Any, None]) -> None:
        CALL.set(call)
        try:
            await work
        except Exception as error:  # a fault of the engine itself, which must not leave its owner waiting
            self._answer({"call": number, "error": brief(error), "text": redact(str(error))})
        finally:
            del self._calls[number]

    async def _execute(self, head: dict[str, Any]) -> None:
        data = head["data"]
        inputs = (
            {node: self._data[number] for node, number in data.items()}
            if isinstance(data, dict)
            else self._data[data]
        )
        done = await execute(
            self._call(head),
            self._clients[head["client"]][0],
            self._clock,
            self._manifests[head["manifest"]],
            inputs,
            head["timeout_s"],
            head["repeatable"],
        )
        parts, body = pack_outputs(done.outputs) if head["keep"] else ([], b"")
        self._answer(self._told(head, done) | {"parts": parts}, body)

    async def _stream(self, head: dict[str, Any]) -> None:
        chunks = [self._data[number] for number in head["chunks"]]
        done = await stream(
            self._call(head),
            self._clients[head["client"]][0],
            self._clock,
            self._manifests[head["manifest"]],
            chunks,
            head["every_s"],
            head["timeout_s"],
            head["repeatable"],
            head["keep"],
        )
        packed = [(result.sequence, *pack_outputs(result.outputs)) for result in done.results]
        results = [(sequence, parts) for sequence, parts, _ in packed]
        told = {"results": results, "sent": done.sent, "answered": done.answered}
        self._answer(self._told(head, done) | told, b"".join(body for _, _, body in packed))

    def _call(self, head: dict[str, Any]) -> Call:
        return self._calls[head["call"]][0]

    @staticmethod
    def _told(head: dict[str, Any], done: Outcomes) -> dict[str, Any]:
        told: dict[str, Any] = {"call": head["call"], "latency_s": done.latency_s}
        if done.error is not None:
            told |= {"error": brief(done.error), "text": redact(str(done.error))}
        return told

    async def _tick(self) -> None:
        while True:
            await self._clock.sleep(_TICK_S)
            self._answer({"tick": True})

    def _answer(self, head: dict[str, Any], body: bytes = b"") -> None:
        self._answers.append(pack(head, body))
        self._flush_soon()

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        samples, self._samples = self._samples, []
        answers, self._answers = self._answers, []
        first = [pack({"samples": samples})] if samples else []
        self._writer.write(b"".join(first + answers))


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
