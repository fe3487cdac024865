"""Media sessions from end to end: a client of ours, its tracks, and a server of ours."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from typing import Any

import numpy as np
import pytest

from rpe.data import Audio, RuntimeData, Text
from rpe.errors import (
    ConnectionLost,
    InvalidRequest,
    NetworkError,
    RemoteTimeout,
    RpeError,
    SessionClosed,
    StreamBroken,
)
from rpe.transport.serving import ApplicationError, ErrorType, Refusal, ServerSession, StatusCode
from rpe.transport.webrtc.client import WebrtcPipelineClient
from rpe.transport.webrtc.media.frames import Cutter
from rpe.transport.webrtc.media.session import MediaSession
from rpe.transport.webrtc.session import WebrtcClientSession
from rpe.transport.webrtc.settings import WebrtcSettings
from tests.support.handlers import Handler
from tests.support.sound import level, likeness, pitch, speech, tone, voice_band
from tests.support.webrtc import ECHO, others, served, sockets


async def once(audio: Audio) -> AsyncIterator[Audio]:
    yield audio


async def for_ever() -> AsyncIterator[Audio]:
    while True:
        yield tone(0.1)


async def open_media(client: WebrtcPipelineClient, sound: Any, timeout_s: float = 20.0) -> MediaSession:
    return await client.open_media(ECHO, sound, timeout_s=timeout_s, open_timeout_s=10.0)


async def heard_of(session: MediaSession) -> np.ndarray[Any, Any]:
    """Everything that comes back on the track until the session ends."""
    chunks = []
    async with asyncio.timeout(20):
        while (item := await session.receive()) is not None:
            assert isinstance(item, Audio)
            assert (item.sample_rate, item.channels, item.num_samples) == (48_000, 1, 960)
            chunks.append(item.samples)
    return np.concatenate(chunks)


def at_48_khz(audio: Audio) -> np.ndarray[Any, Any]:
    cutter = Cutter()
    return np.concatenate(cutter.cut(audio) + cutter.flush())[:, 0]


async def test_speech_comes_back_as_the_same_speech() -> None:
    said = speech(1.2)
    handler = Handler()
    handler.talk = echo  # type: ignore[method-assign]
    async with served(handler) as (client, _), await open_media(client, once(said)) as session:
        heard = voice_band(await heard_of(session))
    assert likeness(heard, voice_band(at_48_khz(said))) > 0.8
    other = Audio(said.samples[::-1], sample_rate=said.sample_rate)
    assert likeness(heard, voice_band(at_48_khz(other))) < 0.5  # so that the measure means something


async def echo(session: ServerSession) -> None:
    await session.ready("s-1")
    while (chunk := await session.receive()) is not None:
        assert not isinstance(chunk.data, Mapping)
        await session.send(chunk.sequence, {"output": chunk.data})
    await session.closed()


async def test_the_pipeline_hears_numbered_chunks_at_its_input_node() -> None:
    handler = Handler()
    async with served(handler) as (client, _), await open_media(client, once(tone(0.4, 700.0))) as session:
        await heard_of_any(session)
    assert [chunk.sequence for chunk in handler.seen] == list(range(len(handler.seen)))
    assert {chunk.node_id for chunk in handler.seen} == {"n0"}
    chunks = [chunk.data for chunk in handler.seen]
    assert all(
        (data.sample_rate, data.channels, data.samples.dtype) == (48_000, 1, np.int16) for data in chunks
    )
    times = [data.timestamp_us for data in chunks]
    assert all(later - earlier == 20_000 for earlier, later in itertools.pairwise(times))
    sound = np.concatenate([data.samples for data in chunks if level(data.samples) > 0.1])
    assert pitch(sound) == pytest.approx(700.0, abs=10.0)
    assert len(sound) / 48_000 == pytest.approx(0.4, abs=0.06)


async def heard_of_any(session: MediaSession) -> list[Any]:
    items = []
    async with asyncio.timeout(20):
        while (item := await session.receive()) is not None:
            items.append(item)
    return items


async def test_first_sound_is_back_soon() -> None:
    handler = Handler()
    handler.talk = echo  # type: ignore[method-assign]
    loop = asyncio.get_running_loop()
    async with served(handler) as (client, _):
        began_s = loop.time()
        async with await open_media(client, for_ever()) as session, asyncio.timeout(10):
            while True:
                item = await session.receive()
                if isinstance(item, Audio) and level(item.samples) > 0.1:
                    break
        took_s = loop.time() - began_s
    # There and back with the connection itself takes some 0.15 s on a quiet machine.
    assert took_s < 1.0


async def test_other_outputs_come_on_the_channel() -> None:
    class Transcriber(Handler):
        async def talk(self, session: ServerSession) -> None:
            await session.ready("s-1")
            while (chunk := await session.receive()) is not None:
                if chunk.sequence % 10 == 9:
                    both: dict[str, RuntimeData] = {
                        "text": Text(f"after {chunk.sequence}"),
                        "voice": tone(0.02, rate=48_000),
                    }
                    await session.send(chunk.sequence, both)
            await session.closed()

    async with served(Transcriber()) as (client, _), await open_media(client, once(tone(0.5))) as session:
        items = await heard_of_any(session)
    results = [item for item in items if not isinstance(item, Audio)]
    assert [result.outputs for result in results[:2]] == [
        {"text": Text("after 9")},
        {"text": Text("after 19")},
    ]
    assert results[1].sequence == 19
    assert any(isinstance(item, Audio) and level(item.samples) > 0.1 for item in items)


async def test_a_long_answer_is_played_to_its_end() -> None:
    class Speaker(Handler):
        waited_s = 0.0

        async def talk(self, session: ServerSession) -> None:
            await session.ready("s-1")
            loop = asyncio.get_running_loop()
            began_s = loop.time()
            await session.send(0, {"output": tone(1.5, 600.0)})
            self.waited_s = loop.time() - began_s
            while await session.receive() is not None:
                pass
            await session.closed()

    speaker = Speaker()
    async with served(speaker) as (client, _), await open_media(client, once(tone(0.02))) as session:
        heard = await heard_of(session)
    assert 0.3 < speaker.waited_s < 1.5  # all but the second that may wait
    loud = heard[np.abs(heard.astype(np.int64)) > 300]
    assert len(loud) / 48_000 == pytest.approx(1.5, abs=0.1)


async def test_an_endless_source_is_finished_by_hand() -> None:
    handler = Handler()
    async with served(handler) as (client, _), await open_media(client, for_ever()) as session:
        await asyncio.sleep(0.2)
        async with asyncio.timeout(5):
            await session.finish()
            await session.finish()
            assert await heard_of_any(session)
            assert await session.receive() is None
            await session.finish()
    assert len(handler.seen) >= 10


async def test_what_is_sent_on_the_channel_reaches_the_session_too() -> None:
    handler = Handler()
    async with served(handler) as (client, _), await open_media(client, for_ever()) as session:
        await session._session.send(Text("hello"), node_id="n0", sequence=0)
        async with asyncio.timeout(5):
            while True:
                item = await session.receive()
                if item is not None and not isinstance(item, Audio):
                    break
        assert item is not None
        assert item.outputs == {"output": Text("hello")}
    assert [chunk.sequence for chunk in handler.seen] == list(range(len(handler.seen)))


async def test_only_the_first_session_of_a_peer_has_its_sound() -> None:
    handler = Handler()
    async with served(handler) as (client, _), await open_media(client, for_ever()) as session:
        second = WebrtcClientSession(session._peer, WebrtcSettings())
        await second.open(ECHO, timeout_s=5, open_timeout_s=5, metadata=())
        await second.send(Text("hello"), node_id="n0", sequence=0)
        result = await second.receive()
        assert result is not None
        assert result.output == Text("hello")
        second.cancel()


@pytest.mark.parametrize(
    ("refusal", "meant"),
    [
        (Refusal(StatusCode.UNAVAILABLE, "not now"), NetworkError),
        (Refusal(StatusCode.INVALID_ARGUMENT, "no"), InvalidRequest),
    ],
)
async def test_a_refused_session_leaves_nothing(refusal: Refusal, meant: type[RpeError]) -> None:
    class Refusing(Handler):
        async def talk(self, session: ServerSession) -> None:
            raise refusal

    open_sockets = sockets()
    async with served(Refusing()) as (client, signalling):
        with pytest.raises(meant):
            await open_media(client, for_ever())
        assert signalling.signallers[0].closed
    assert others() == set()
    assert sockets() == open_sockets


async def test_an_error_in_the_stream_ends_the_session() -> None:
    class Failing(Handler):
        async def talk(self, session: ServerSession) -> None:
            await session.ready("s-1")
            await session.send_error(ApplicationError(ErrorType.VALIDATION, "this is no speech"))

    async with served(Failing()) as (client, _), await open_media(client, for_ever()) as session:
        for _ in range(2):
            with pytest.raises(InvalidRequest, match="no speech"):
                async with asyncio.timeout(5):
                    while True:
                        await session.receive()


async def test_a_dead_peer_breaks_the_session() -> None:
    async with served() as (client, _), await open_media(client, for_ever()) as session:
        session._peer.link.die("its cable was cut")
        with pytest.raises((StreamBroken, ConnectionLost)):
            async with asyncio.timeout(5):
                while True:
                    await session.receive()
    assert others() == set()


async def test_a_cancelled_session_is_over_on_both_sides() -> None:
    handler = Handler()
    async with served(handler) as (client, _):
        session = await open_media(client, for_ever())
        await asyncio.sleep(0.05)
        session.cancel()
        session.cancel()
        with pytest.raises(SessionClosed):
            async with asyncio.timeout(5):
                while True:
                    await session.receive()
        async with asyncio.timeout(5):
            await handler.cancelled.wait()
        await session.close()
        await session.close()
    assert others() == set()


async def test_its_deadline_ends_a_session() -> None:
    async with served() as (client, _), await open_media(client, for_ever(), timeout_s=0.6) as session:
        with pytest.raises(RemoteTimeout):
            async with asyncio.timeout(5):
                while True:
                    await session.receive()


async def test_what_the_source_raises_reaches_the_receiver() -> None:
    async def broken() -> AsyncIterator[Audio]:
        yield tone(0.1)
        raise OSError("the microphone is gone")

    async with served() as (client, _), await open_media(client, broken()) as session:
        with pytest.raises(OSError, match="microphone"):
            async with asyncio.timeout(5):
                while True:
                    await session.receive()


async def test_closing_the_client_closes_its_media_sessions() -> None:
    async with served() as (client, _):
        session = await open_media(client, for_ever())
        await client.close()
        with pytest.raises(SessionClosed):
            async with asyncio.timeout(5):
                while True:
                    await session.receive()
        with pytest.raises(ConnectionLost):
            await open_media(client, for_ever())
    assert others() == set()


async def test_opening_may_be_cancelled_and_leaves_nothing() -> None:
    open_sockets = sockets()
    async with served() as (client, _):
        for patience_s in (0.0, 0.01, 0.03):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(patience_s):
                    await open_media(client, for_ever())
    assert others() == set()
    assert sockets() == open_sockets


async def test_a_caller_who_does_not_listen_fills_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rpe.transport.webrtc.media.session._KEPT_S", 0.1)
    async with served() as (client, _), await open_media(client, for_ever()) as session:
        await asyncio.sleep(0.5)
        assert session.dropped > 0
        assert len(session._heard) <= 5
