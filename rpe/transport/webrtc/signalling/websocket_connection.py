"""One client of the WebSocket signalling server: a reader, a writer, and an offer in the making."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Coroutine, Mapping
from typing import Any

from aiohttp import ClientError, WSCloseCode, WSMsgType, web

from rpe.clock import SYSTEM_CLOCK
from rpe.transport.webrtc.signalling.errors import Code, SignallingError
from rpe.transport.webrtc.signalling.hub import SignallingHub
from rpe.transport.webrtc.signalling.jsonrpc import Call, Malformed, Message, Outcome, outcome_text, read
from rpe.transport.webrtc.signalling.messages import Event
from rpe.transport.webrtc.signalling.rpc_events import event_text
from rpe.transport.webrtc.signalling.rpc_methods import OFFER, RpcMethods

__all__ = ["WebSocketConnection"]

MOST_WAITING = 1024
"""How many messages may wait for a client that does not read; at one more its connection is broken."""

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_ENDS = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)


class WebSocketConnection:
    """Fills `rpe.transport.webrtc.signalling.guest.Link`.

    A client that sends what is no JSON-RPC is told so and stays connected. `ended` is set
    when nothing of the connection is left.
    """

    def __init__(self, hub: SignallingHub, request: web.Request, ws: web.WebSocketResponse) -> None:
        self.address = _address(request)
        self.metadata: Mapping[str, str] = {key.lower(): value for key, value in request.headers.items()}
        self.ended = asyncio.Event()
        self._request = request
        self._ws = ws
        self._methods = RpcMethods(hub, self)
        self._outgoing: asyncio.Queue[str | WSCloseCode] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Read until either side ends the connection. The peer has left when this ends."""
        try:
            async with asyncio.TaskGroup() as group:
                self._start(group, self._write())
                try:
                    await self._read(group)
                finally:
                    for task in self._tasks:
                        task.cancel()
        finally:
            try:
                await self._methods.leave()
            finally:
                self.ended.set()

    def tell(self, peer_id: str, event: Event) -> None:
        """Send an event when the client takes it, without waiting."""
        self._put(event_text(event, peer_id))

    def close(self, code: WSCloseCode) -> None:
        """Say goodbye once everything before it is sent; `ended` tells when it is done."""
        self._put(code)

    def abort(self) -> None:
        """Reset the connection, as a crash would."""
        if (transport := self._request.transport) is None:
            return
        if (sock := transport.get_extra_info("socket")) is not None:
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            except OSError:
                pass  # it has ended already
        transport.abort()

    async def _read(self, group: asyncio.TaskGroup) -> None:
        while (message := await self._ws.receive()).type not in _ENDS:
            if message.type is WSMsgType.TEXT:
                messages, batch = read(message.data)
            else:
                messages, batch = [Malformed(None, (Code.PARSE_ERROR, "a binary message"))], False
            work = self._answer(messages, batch)
            if any(isinstance(item, Call) and item.method == OFFER for item in messages):
                # The pipeline takes its time over an answer, and what comes meanwhile is not to
                # wait; but the offer must have begun before a candidate that follows it is looked at.
                self._start(group, work)
                await SYSTEM_CLOCK.sleep(0.0)
            else:
                await work

    async def _answer(self, messages: list[Message], batch: bool) -> None:
        outcomes: list[Outcome] = []
        for message in messages:
            if isinstance(message, Malformed):
                outcomes.append(Outcome(message.id, error=message.error))
            elif isinstance(message, Call):
                outcome = await self._call(message)
                if message.wants_answer:
                    outcomes.append(outcome)
        if outcomes:
            texts = [outcome_text(outcome) for outcome in outcomes]
            self._put(f"[{','.join(texts)}]" if batch else texts[0])
        if any(outcome.error and outcome.error[0] == Code.UNAUTHENTICATED for outcome in outcomes):
            self.close(WSCloseCode.POLICY_VIOLATION)
        await self._methods.settle()

    async def _call(self, call: Call) -> Outcome:
        try:
            return Outcome(call.id, await self._methods.call(call.method, call.params))
        except SignallingError as error:
            return Outcome(call.id, error=(error.code, error.message))

    async def _write(self) -> None:
        while True:
            item = await self._outgoing.get()
            try:
                if isinstance(item, WSCloseCode):
                    await self._ws.close(code=item)
                    return
                await self._ws.send_str(item)
            except (OSError, RuntimeError, ClientError):
                return  # the connection has ended, which the reader sees too

    def _put(self, item: str | WSCloseCode) -> None:
        if self._outgoing.qsize() >= MOST_WAITING:
            self.abort()
        else:
            self._outgoing.put_nowait(item)

    def _start(self, group: asyncio.TaskGroup, work: Coroutine[Any, Any, None]) -> None:
        task = group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _address(request: web.Request) -> str:
    transport = request.transport
    peer = None if transport is None else transport.get_extra_info("peername")
    if not peer:
        return ""
    host, port = peer[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
