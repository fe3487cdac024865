"""The raw server: it listens, counts and draws, and keeps the journal."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from google.protobuf.descriptor_pool import DescriptorPool

from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.fakes.brain import Brain
from rpe.fakes.journal import Entry, Journal, Kind
from rpe.fakes.mouth.answers import brain_answer
from rpe.fakes.mouth.call import Answer, RawCall
from rpe.fakes.mouth.connection import Connection
from rpe.fakes.mouth.drawing import Dice
from rpe.fakes.mouth.encoding import timeout_s
from rpe.fakes.mouth.script import (
    CallFault,
    ConnectionFault,
    StopReading,
    WireScript,
    parse_wire_script,
)
from rpe.transport.listening import listening_socket
from rpe.transport.ports import ATTEMPT_KEY, OPERATION_KEY

__all__ = ["RawGrpcServer"]

_BACKLOG = 100


class RawGrpcServer:
    """A server of gRPC in clear text, made of HTTP/2 frames, used as an async context.

        async with RawGrpcServer({"calls": [{"kind": "reset", "code": 7, "first": 2}]}) as server:
            client = connect([server.endpoint])

    Arguments:
        script: what is broken, also as a mapping; without one the server is honest.
        answer: what answers each call (see `rpe.fakes.mouth.call.Answer`), whatever its path; by
            default a brain of its own, which serves pipelines, sessions, version and health.
        name: what the journal calls it; with `seed`, the source of all chance.
        host, port: where to listen; port 0 takes any free one, and no port is ever shared.
        journal_path: a file that each entry is added to as well, as a line of JSON.
        trace: write each message of each call down too, as CHUNK and RESULT, numbered from 0 in either
            direction, and as a CHUNK with the detail `half_closed` that the caller sends no more.
        pool: knows the services whose answers a script makes wrong. Those of rpe are known, and
            so are those whose generated modules were imported.

    The journal numbers calls from 1 and names each by its path; connections are told of with
    call 0. It outlives the server.
    """

    def __init__(
        self,
        script: WireScript | Mapping[str, Any] | None = None,
        answer: Answer | None = None,
        *,
        name: str = "raw",
        seed: int = 0,
        host: str = "127.0.0.1",
        port: int = 0,
        journal_path: Path | None = None,
        clock: Clock = SYSTEM_CLOCK,
        trace: bool = False,
        pool: DescriptorPool | None = None,
    ) -> None:
        self.name = name
        self.journal = Journal(path=journal_path, clock=clock)
        self._seed = seed
        self._host = host
        self._port = port
        self._clock = clock
        self._trace = trace
        self._pool = pool
        self._answer = answer or brain_answer(Brain(name=name, seed=seed, clock=clock))
        self._listening: socket.socket | None = None
        self._connections: dict[asyncio.Task[None], socket.socket] = {}
        self._endpoint = ""
        self._number = 0
        self._adopt(script)

    @property
    def endpoint(self) -> str:
        """Where it listens, as `host:port`; empty before the first start."""
        return self._endpoint

    def set_script(self, script: WireScript | Mapping[str, Any] | None) -> None:
        """Follow another script from the next call and the next connection on; counting begins anew."""
        told = self._adopt(script)
        shown = told.model_dump_json(exclude_defaults=True)
        self.journal.append(Entry(Kind.SCRIPT, self._clock.now(), self.name, detail=shown))

    async def start(self) -> None:
        """Bind and serve. Raises ConfigurationError where that cannot be. Harmless where it runs."""
        if self._listening is not None:
            return
        listening = listening_socket(self._host, self._port, "a raw server")
        self._listening = listening
        self._port = listening.getsockname()[1]
        self._endpoint = f"{self._host}:{self._port}"
        self.journal.open()
        asyncio.get_running_loop().add_reader(listening, self._accept, listening)

    async def stop(self) -> None:
        """Break off every connection, and wait until nothing of the server is left. The journal stays."""
        listening, self._listening = self._listening, None
        if listening is None:
            return
        asyncio.get_running_loop().remove_reader(listening)
        listening.close()
        while self._connections:
            for task in self._connections:
                task.cancel()
            await asyncio.wait(list(self._connections))
        for _ in range(2):  # a transport that was told to end does so in the next round of the loop
            await _next_round()
        self.journal.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def __repr__(self) -> str:
        return f"<RawGrpcServer {self.name} at {self._endpoint or 'no address yet'}>"

    def _adopt(self, script: WireScript | Mapping[str, Any] | None) -> WireScript:
        told = script if isinstance(script, WireScript) else parse_wire_script(script or {})
        source = f"{self._seed}/{self.name}"
        self._call_dice: Dice[CallFault] = Dice(told.calls, source)
        self._connection_dice: Dice[ConnectionFault] = Dice(told.connections, source)
        windows = (fault.window_bytes for fault in told.calls if isinstance(fault, StopReading))
        self._first_window_bytes = min((size for size in windows if size is not None), default=None)
        return told

    def _accept(self, listening: socket.socket) -> None:
        """Take what waits. (asyncio's own server may drop a connection that comes in while it is closed.)"""
        for _ in range(_BACKLOG):
            try:
                sock, _peer = listening.accept()
            except OSError:
                return
            sock.setblocking(False)
            # A frame is sent when it is due: else the kernel holds the second one back for 40 ms.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = asyncio.get_running_loop().create_task(self._serve(sock))
            self._connections[task] = sock
            task.add_done_callback(self._disconnected)

    async def _serve(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, sock)
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        faults = self._connection_dice.draw()
        connection = Connection(
            reader,
            writer,
            faults,
            self._answer,
            self._make_call,
            self._note,
            self._clock,
            self._first_window_bytes,
        )
        await connection.run()

    def _disconnected(self, task: asyncio.Task[None]) -> None:
        # Only where the task was cancelled before it began is there still something to close.
        asyncio.get_running_loop().call_soon(self._connections.pop(task).close)

    def _make_call(self, connection: Connection, stream_id: int, headers: Mapping[str, str]) -> RawCall:
        self._number += 1
        remaining_s = timeout_s(headers.get("grpc-timeout", ""))
        fired = self._call_dice.draw(headers.get(":path", ""))
        fault = fired[0] if fired else None
        call = RawCall(
            connection,
            stream_id,
            self._number,
            headers,
            remaining_s,
            fault,
            pool=self._pool,
            trace=self._trace,
        )
        self._note(Kind.RECEIVED, call)
        return call

    def _note(
        self,
        kind: Kind,
        call: RawCall | None,
        *,
        sequence: int | None = None,
        content: Mapping[str, str] | None = None,
        fault: str = "",
        detail: str = "",
    ) -> None:
        if call is None:
            entry = Entry(kind, self._clock.now(), self.name, fault=fault, detail=detail)
        else:
            attempt = call.metadata.get(ATTEMPT_KEY, "")
            entry = Entry(
                kind,
                self._clock.now(),
                self.name,
                call.number,
                call.path,
                operation_id=call.metadata.get(OPERATION_KEY, ""),
                attempt=int(attempt) if attempt.isascii() and attempt.isdecimal() else 0,
                remaining_s=call.remaining_s if kind is Kind.RECEIVED else None,
                sequence=sequence,
                content=content or {},
                fault=fault,
                detail=detail,
            )
        self.journal.append(entry)


async def _next_round() -> None:
    loop = asyncio.get_running_loop()
    reached = loop.create_future()
    loop.call_soon(reached.set_result, None)
    await reached
