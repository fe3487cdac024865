"""A plain-mode server of bare aiortc, and our client against it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiortc import RTCDataChannel, RTCSessionDescription

from rpe.data import RuntimeData
from rpe.transport.webrtc.ice import close_connection, make_connection, set_local
from rpe.transport.webrtc.plain import PlainPipelineClient
from rpe.transport.webrtc.settings import IceSettings, WebrtcSettings
from tests.support.webrtc import ECHO, ScriptedSignaller

__all__ = ["RawServer", "Reply", "against", "echo", "run"]

Reply = Callable[[RTCDataChannel, Any], None]


class RawServer:
    """A server of bare aiortc that speaks nothing but DataBuffers."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.labels: list[str] = []
        self.channels: list[RTCDataChannel] = []
        self.connection = make_connection(IceSettings())
        self.connection.on("datachannel", self._take)

    def _take(self, channel: RTCDataChannel) -> None:
        self.labels.append(channel.label)
        self.channels.append(channel)
        channel.on("message", lambda message: self.reply(channel, message))

    async def answer(self, sdp: str) -> str:
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        return await set_local(self.connection, IceSettings(), loopback=True)


def echo(channel: RTCDataChannel, message: Any) -> None:
    channel.send(message)


@asynccontextmanager
async def against(reply: Reply, **config: Any) -> AsyncIterator[tuple[PlainPipelineClient, RawServer]]:
    server = RawServer(reply)
    signaller = ScriptedSignaller(server.answer)
    settings = WebrtcSettings(mode="plain", **config)
    client = PlainPipelineClient("127.0.0.1:1", settings, connect=signaller.connect())
    try:
        yield client, server
    finally:
        await client.close()
        await close_connection(server.connection)


async def run(client: PlainPipelineClient, data: RuntimeData, timeout_s: float = 10.0) -> RuntimeData:
    return (await client.execute(ECHO, {"n0": data}, timeout_s=timeout_s)).output
