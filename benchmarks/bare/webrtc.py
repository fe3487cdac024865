"""A peer over bare aiortc: signalling by hand, one data channel for each thing that is done."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any, Self

import aiohttp
from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription

from benchmarks.bare.grpc import audio_chunk, read_audio
from benchmarks.chunks import ECHO, TEXT
from rpe.wire.generated.remotemedia.v1 import common_pb2, streaming_pb2
from rpe.wire.manifest import encode_manifest

__all__ = [
    "BareChannel",
    "BarePeer",
    "WebrtcStream",
    "gather_at_loopback",
    "make_connection",
    "signal",
    "text_request",
]

_HIGH_MARK_BYTES = 64 * 1024
_LOW_MARK_BYTES = 16 * 1024
_MANIFEST = encode_manifest(ECHO)


def make_connection() -> RTCPeerConnection:
    """A connection that asks no server: aiortc's default is a public one."""
    return RTCPeerConnection(RTCConfiguration(iceServers=[]))


def gather_at_loopback(connection: RTCPeerConnection) -> None:
    """Let a connection find 127.0.0.1, and nothing else, as ours does where the server is there."""
    transports = [connection.sctp.transport] if connection.sctp is not None else []
    transports += [item.receiver.transport for item in connection.getTransceivers()]
    agents: list[Any] = list({id(dtls): dtls.transport._connection for dtls in transports}.values())
    for ice in agents:

        async def gather(component: int, _: Any = ice.get_component_candidates, **__: Any) -> Any:
            return await _(component=component, addresses=["127.0.0.1"])

        ice.get_component_candidates = gather


def text_request() -> bytes:
    """A unary request with the text of 1 KB, in the very message that our client sends."""
    buffer = common_pb2.DataBuffer(text=common_pb2.TextBuffer(text_data=TEXT.encode()))
    init = streaming_pb2.StreamInit(manifest=_MANIFEST, data_inputs={"echo": buffer}, client_version="v1")
    return streaming_pb2.StreamRequest(init=init).SerializeToString()


class BareChannel:
    """A data channel whose messages wait in a queue."""

    def __init__(self, channel: RTCDataChannel) -> None:
        self._channel = channel
        self._messages: asyncio.Queue[bytes] = asyncio.Queue()
        self._low = asyncio.Event()
        channel.bufferedAmountLowThreshold = _LOW_MARK_BYTES
        channel.on("message", self._messages.put_nowait)
        channel.on("bufferedamountlow", self._low.set)

    def send(self, message: bytes | str) -> None:
        self._channel.send(message)

    async def receive(self) -> bytes:
        return await self._messages.get()

    async def ask_text(self) -> str:
        """One unary call."""
        self._channel.send(text_request())
        response = streaming_pb2.StreamResponse.FromString(await self._messages.get())
        return str(response.result.data_outputs["output"].text.text_data.decode())

    async def pour(self, messages: Iterable[bytes | str]) -> None:
        """Send messages as fast as the channel takes them."""
        for message in messages:
            self._channel.send(message)
            if self._channel.bufferedAmount >= _HIGH_MARK_BYTES:
                self._low.clear()
                await self._low.wait()

    def close(self) -> None:
        self._channel.close()


class BarePeer:
    """A peer, and the signalling that it was made over."""

    def __init__(
        self,
        connection: RTCPeerConnection,
        session: aiohttp.ClientSession,
        signalling: aiohttp.ClientWebSocketResponse,
        first: BareChannel,
    ) -> None:
        self.connection = connection
        self.first = first
        self._session = session
        self._signalling = signalling

    @classmethod
    async def open(cls, address: str) -> Self:
        """Connect, and wait until the first channel is open."""
        connection = make_connection()
        channel = connection.createDataChannel("bare")
        gather_at_loopback(connection)
        opened = asyncio.Event()
        channel.on("open", opened.set)
        session = aiohttp.ClientSession()
        signalling = await signal(session, address, connection, ["data"])
        await opened.wait()
        return cls(connection, session, signalling, BareChannel(channel))

    async def channel(self) -> BareChannel:
        """One more channel, open."""
        channel = self.connection.createDataChannel("bare")
        opened = asyncio.Event()
        channel.on("open", opened.set)
        await opened.wait()
        return BareChannel(channel)

    async def close(self) -> None:
        await self.connection.close()
        await self._signalling.close()
        await self._session.close()


async def signal(
    session: aiohttp.ClientSession, address: str, connection: RTCPeerConnection, capabilities: list[str]
) -> aiohttp.ClientWebSocketResponse:
    """Announce a peer, offer what the connection has, and take the answer."""
    ws = await session.ws_connect(f"http://{address}/ws")
    params: dict[str, Any] = {"peer_id": "bare", "capabilities": capabilities}
    await ws.send_json({"jsonrpc": "2.0", "id": 1, "method": "peer.announce", "params": params})
    await ws.receive_json()
    await connection.setLocalDescription()
    params = {"from": "bare", "to": "remotemedia-server", "sdp": connection.localDescription.sdp}
    await ws.send_json({"jsonrpc": "2.0", "id": 2, "method": "peer.offer", "params": params})
    answer = json.loads(await ws.receive_str())["result"]["sdp"]
    await connection.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
    return ws


class WebrtcStream:
    """One session on a channel of its own, whose chunks are the 20 ms of audio."""

    def __init__(self, channel: BareChannel) -> None:
        self._channel = channel

    @classmethod
    async def open(cls, peer: BarePeer) -> Self:
        channel = await peer.channel()
        init = streaming_pb2.StreamRequest(init=streaming_pb2.StreamInit(manifest=_MANIFEST))
        channel.send(init.SerializeToString())
        await channel.receive()
        return cls(channel)

    async def send(self, sequence: int) -> None:
        self._channel.send(audio_chunk(sequence).SerializeToString())

    async def receive(self) -> int | None:
        response = streaming_pb2.StreamResponse.FromString(await self._channel.receive())
        return read_audio(response) if response.HasField("result") else None

    async def finish(self) -> None:
        close = streaming_pb2.StreamControl(command=streaming_pb2.StreamControl.COMMAND_CLOSE)
        self._channel.send(streaming_pb2.StreamRequest(control=close).SerializeToString())
