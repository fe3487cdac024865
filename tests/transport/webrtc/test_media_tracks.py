"""Audio tracks by themselves: cut, paced, and read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError
from av import AudioFrame
from numpy.typing import NDArray

from rpe.data import Audio
from rpe.errors import DataValidationError
from rpe.transport.webrtc.media.frames import (
    FRAME_S,
    FRAME_SAMPLES,
    SAMPLE_RATE,
    Cutter,
    make_frame,
    read_frame,
)
from rpe.transport.webrtc.media.sink import AudioSink
from rpe.transport.webrtc.media.source import AudioSource
from tests.support.sound import level, pitch, tone


class Ticking:
    """A clock that is set by whoever sleeps."""

    def __init__(self) -> None:
        self.time_s = 100.0

    def now(self) -> float:
        return self.time_s

    async def sleep(self, delay_s: float) -> None:
        await self.sleep_until(self.time_s + delay_s)

    async def sleep_until(self, when_s: float) -> None:
        await asyncio.sleep(0)
        self.time_s = max(self.time_s, when_s)

    def deadline(self, when_s: float | None) -> Any:
        raise NotImplementedError


@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.int32])
@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (16_000, 2), (44_100, 1), (48_000, 6)])
def test_any_audio_becomes_frames_of_the_same_sound(dtype: Any, rate: int, channels: int) -> None:
    cutter = Cutter()
    whole = tone(1.0, 440.0, rate, channels, dtype)
    pieces = np.array_split(whole.frames, 37)  # whose lengths have nothing to do with a frame's
    frames = [frame for piece in pieces for frame in cutter.cut(_like(whole, piece))] + cutter.flush()
    assert {frame.shape for frame in frames} == {(FRAME_SAMPLES, 1)}
    assert {frame.dtype for frame in frames} == {np.dtype(np.int16)}
    assert len(frames) in (50, 51)
    sound = np.concatenate(frames)[:, 0]
    assert pitch(sound) == pytest.approx(440.0, abs=2.0)
    assert level(sound[:48_000]) == pytest.approx(0.5 / np.sqrt(2), rel=0.02)
    steps = np.abs(np.diff(sound[2_000:46_000].astype(np.int64)))
    assert steps.max() < 1_100  # the steepest step of this tone is 944: there is no click between pieces


def _like(audio: Audio, frames: NDArray[Any]) -> Audio:
    return Audio(frames.reshape(-1), sample_rate=audio.sample_rate, channels=audio.channels)


def test_the_form_may_change_midway() -> None:
    cutter = Cutter()
    first = cutter.cut(tone(0.1, rate=16_000))
    second = cutter.cut(tone(0.1, rate=44_100, dtype=np.int16)) + cutter.flush()
    sound = np.concatenate(first + second)[:, 0]
    assert len(sound) >= 0.2 * SAMPLE_RATE
    assert pitch(sound) == pytest.approx(440.0, abs=6.0)


def test_two_channels_stay_apart_and_are_mixed_for_one() -> None:
    left, right = tone(0.5, 440.0, 48_000).samples, tone(0.5, 1_000.0, 48_000).samples
    both = Audio(np.stack([left, right], axis=1).reshape(-1), sample_rate=48_000, channels=2)
    cutter = Cutter(channels=2)
    sound = np.concatenate(cutter.cut(both) + cutter.flush())
    assert pitch(sound[:, 0]) == pytest.approx(440.0, abs=3.0)
    assert pitch(sound[:, 1]) == pytest.approx(1_000.0, abs=3.0)
    wide = np.concatenate(Cutter(channels=2).cut(tone(0.5, rate=48_000)))
    assert np.array_equal(wide[:, 0], wide[:, 1])
    mixed = np.concatenate(Cutter().cut(both))[:, 0]
    assert level(mixed) == pytest.approx(0.25, rel=0.05)


def test_bad_input_does_no_harm() -> None:
    cutter = Cutter()
    assert cutter.cut(Audio(np.zeros(0, np.int16), sample_rate=16_000)) == []
    assert cutter.flush() == []
    loud = np.full(48_000, 7.0, np.float32)
    loud[100:200] = np.nan
    loud[200:300] = -np.inf
    frames = cutter.cut(Audio(loud, sample_rate=48_000))
    assert np.concatenate(frames).max() == 2**15 - 1
    with pytest.raises(DataValidationError):
        Cutter(channels=3)


@pytest.mark.parametrize("channels", [1, 2])
def test_a_frame_is_read_as_it_was_made(channels: int) -> None:
    samples = np.random.default_rng(5).integers(-(2**15), 2**15, (FRAME_SAMPLES, channels)).astype(np.int16)
    audio = read_frame(make_frame(samples, 48_000), channels)
    assert np.array_equal(audio.frames, samples)
    assert (audio.sample_rate, audio.channels, audio.timestamp_us) == (48_000, channels, 1_000_000)
    assert read_frame(make_frame(samples, 0), 3 - channels).channels == 3 - channels
    layout = "mono" if channels == 1 else "stereo"
    planar = AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), format="s16p", layout=layout)
    planar.sample_rate = SAMPLE_RATE
    assert np.array_equal(read_frame(planar, channels).frames, samples)


async def test_frames_leave_on_time_and_delays_do_not_add_up() -> None:
    clock = Ticking()
    source = AudioSource(clock=clock)
    source.push(tone(1.0))
    left = []
    for number in range(50):
        frame = await source.recv()
        left.append(clock.time_s - 100.0)
        assert frame.pts == number * FRAME_SAMPLES
        clock.time_s += 0.013 if number % 3 else 0.025  # what sending takes, now and then more than a frame
    late = [at - number * FRAME_S for number, at in enumerate(left)]
    assert min(late) > -1e-9
    assert max(late) < 0.0251


async def test_lost_time_is_not_made_up_for_in_a_burst() -> None:
    clock = Ticking()
    source = AudioSource(clock=clock)
    await source.recv()
    clock.time_s += 10.0
    await source.recv()
    resumed_s = clock.time_s
    await source.recv()
    assert clock.time_s == pytest.approx(resumed_s + FRAME_S)


async def test_silence_where_there_is_nothing_to_hear() -> None:
    source = AudioSource(clock=Ticking())
    assert not (await source.recv()).to_ndarray().any()
    source.push(tone(0.06))
    heard = [level((await source.recv()).to_ndarray()) for _ in range(5)]
    assert min(heard[:2]) > 0.2
    assert heard[-1] == 0.0
    assert source.silent_frames >= 2


async def test_a_feed_waits_for_the_listener() -> None:
    source = AudioSource(buffer_s=0.1, clock=Ticking())
    given = 0

    async def sound() -> AsyncIterator[Audio]:
        nonlocal given
        for _ in range(20):
            given += 1
            yield tone(0.1)

    feeding = asyncio.create_task(source.feed(sound()))
    await asyncio.sleep(0.01)
    assert given == 2
    assert source.waiting_s <= 0.2
    for _ in range(115):
        await source.recv()
        await asyncio.sleep(0)
    await feeding
    assert given == 20
    assert source.waiting_s == 0.0


async def test_a_stopped_track_lets_everybody_go() -> None:
    source = AudioSource(buffer_s=0.02, clock=Ticking())
    putting = asyncio.create_task(source.put(tone(1.0)))
    await asyncio.sleep(0)
    source.stop()
    await putting
    await source.put(tone(1.0))
    with pytest.raises(MediaStreamError):
        await source.recv()


async def test_what_is_no_audio_is_refused() -> None:
    async def sound() -> AsyncIterator[Any]:
        yield "a song"

    with pytest.raises(DataValidationError):
        await AudioSource(clock=Ticking()).feed(sound())


async def test_a_sink_reads_until_the_track_ends() -> None:
    source = AudioSource(clock=Ticking())
    source.push(tone(0.1))
    sink = AudioSink(source)
    chunks = []
    async for chunk in sink:
        chunks.append(chunk)
        if len(chunks) == 4:
            source.stop()
    assert [chunk.timestamp_us for chunk in chunks] == [0, 20_000, 40_000, 60_000]
    assert await sink.receive() is None


async def test_a_sink_reads_other_tracks_too() -> None:
    audio = await AudioSink(AudioStreamTrack()).receive()
    assert audio is not None
    assert audio.sample_rate == 8_000
