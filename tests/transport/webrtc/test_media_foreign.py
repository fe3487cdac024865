"""Sound with ends of bare aiortc: a server that takes none, and clients that offer more or less."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from aiortc.contrib.media import MediaBlackhole
from aiortc.mediastreams import MediaStreamTrack

from rpe.data import Audio
from rpe.errors import (
    ProtocolViolation,
)
from rpe.transport.webrtc.client import WebrtcPipelineClient
from rpe.transport.webrtc.ice import close_connection, make_connection, set_local
from rpe.transport.webrtc.media.sink import AudioSink
from rpe.transport.webrtc.media.source import AudioSource
from rpe.transport.webrtc.settings import IceSettings, WebrtcSettings
from rpe.transport.webrtc.signalling.port import SignallingSettings
from tests.support.handlers import Handler
from tests.support.sound import level, pitch, tone
from tests.support.webrtc import ECHO, LocalSignalling, ScriptedSignaller, others, peers


async def for_ever() -> AsyncIterator[Audio]:
    while True:
        yield tone(0.1)


async def test_a_server_without_a_track_is_told() -> None:
    """A server of bare aiortc, which takes the channels and declines the sound."""
    server = make_connection(IceSettings())

    async def answer(sdp: str) -> str:
        await server.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        for transceiver in server.getTransceivers():
            transceiver.direction = "inactive"
        return await set_local(server, IceSettings(), loopback=True)

    signaller = ScriptedSignaller(answer)
    client = WebrtcPipelineClient("127.0.0.1:4000", WebrtcSettings(), connect=signaller.connect())
    try:
        with pytest.raises(ProtocolViolation, match="audio track"):
            await client.open_media(ECHO, for_ever(), timeout_s=20, open_timeout_s=10)
    finally:
        await client.close()
        await close_connection(server)
    assert others() == set()


async def test_video_is_declined_and_sound_is_not() -> None:
    handler = Handler()
    async with peers(handler) as signalling:
        connection = make_connection(IceSettings())
        speaker = MediaBlackhole()
        try:
            await offer_all(connection, signalling, speaker)
            kinds = {item.kind: item.currentDirection for item in connection.getTransceivers()}
            assert kinds == {"video": "inactive", "audio": "sendrecv"}
            async with asyncio.timeout(5):
                while not handler.seen:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        finally:
            await speaker.stop()
            await close_connection(connection)


async def test_a_peer_with_sound_alone_is_heard_and_answered() -> None:
    handler = Handler()
    async with peers(handler) as signalling:
        connection = make_connection(IceSettings())
        source = AudioSource()
        source.push(tone(2.0, 500.0))
        connection.addTrack(source)
        tracks: list[MediaStreamTrack] = []
        connection.on("track", tracks.append)
        try:
            await offer(connection, signalling)
            sink = AudioSink(tracks[0])
            loud: list[Any] = []
            async with asyncio.timeout(10):
                while len(loud) < 25 and (audio := await sink.receive()) is not None:
                    loud += [audio.samples] if level(audio.samples) > 0.1 else []
            assert pitch(np.concatenate(loud)) == pytest.approx(500.0, abs=5.0)
            assert [chunk.sequence for chunk in handler.seen] == list(range(len(handler.seen)))
        finally:
            await close_connection(connection)
    assert handler.cancelled.is_set()
    assert others() == set()


async def offer_all(
    connection: RTCPeerConnection, signalling: LocalSignalling, speaker: MediaBlackhole
) -> None:
    source = AudioSource()
    source.push(tone(1.0))
    connection.addTrack(VideoStreamTrack())
    connection.addTrack(source)
    connection.createDataChannel("data")
    connection.on("track", speaker.addTrack)
    await offer(connection, signalling)
    await speaker.start()


async def offer(connection: RTCPeerConnection, signalling: LocalSignalling) -> None:
    signaller = await signalling("raw", SignallingSettings(), peer_id="raw", capabilities=("data", "audio"))
    answer = await signaller.offer(await set_local(connection, IceSettings(), loopback=True))
    await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
