"""A gate that lets speech through, told from silence by its energy."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpe.data import Audio, RuntimeData
from rpe.node.contract import Emit, NodeCall, NodeType, PipelineNode
from rpe.node.params import Params, number

__all__ = ["VAD_GATE"]


class _VadGate(PipelineNode):
    """Cuts audio into frames and gives each run of loud ones as one segment, in the samples that came.

    A frame is loud where the root mean square of its samples, all channels together, reaches
    the threshold. After the last loud frame the gate stays open for the hangover, so that the
    soft end of a word is not cut off (a hangover is used in the same way by the voice activity
    detectors of ETSI GSM 06.32 and ITU-T G.729 Annex B); the frames of the hangover belong to the
    segment. A segment that has become too long is given as it is, and the next one begins.

    What comes is taken as one run of audio, however it is cut into items; where rate, channels,
    sample type or stream change, the segment ends. A segment is stamped with the time of its first
    frame: after the first item's timestamp, or after 0 where it has none.
    """

    __slots__ = (
        "_base", "_frame_ms", "_frames_done", "_hangover", "_longest", "_open", "_quiet", "_rest",
        "_segment", "_start", "_threshold",
    )  # fmt: skip

    def __init__(self, call: NodeCall) -> None:
        self._frame_ms: float = call.params["frame_ms"]
        self._threshold = 10.0 ** (call.params["threshold_dbfs"] / 20)
        self._hangover = math.ceil(call.params["hangover_ms"] / self._frame_ms)
        self._longest = max(1, int(call.params["max_segment_ms"] / self._frame_ms))
        self._base: Audio | None = None  # the first item of the run, whose fields the segments get
        self._rest: NDArray[Any] = np.empty((0, 1), np.float32)
        self._begin(None)

    def _begin(self, base: Audio | None) -> None:
        self._base = base
        self._frames_done = self._start = self._quiet = 0
        self._segment: list[NDArray[Any]] = []
        if base is not None:
            self._rest = base.frames[:0]

    async def process(self, data: RuntimeData, emit: Emit) -> None:
        assert isinstance(data, Audio)  # the runner lets nothing else through
        if not data.num_samples:
            return
        if self._base is None or _format(self._base) != _format(data):
            await self.flush(emit)
            self._begin(data)
        frames = np.concatenate([self._rest, data.frames])
        size = max(1, round(data.sample_rate * self._frame_ms / 1000))
        whole = len(frames) - len(frames) % size
        self._rest = frames[whole:]
        for place in range(0, whole, size):
            await self._take(frames[place : place + size], emit)

    async def flush(self, emit: Emit) -> None:
        """Judge what is left, shorter than a frame, and give the segment that is open."""
        if len(self._rest):
            rest, self._rest = self._rest, self._rest[:0]
            await self._take(rest, emit)
        await self._give(emit)
        self._base = None

    async def _take(self, frame: NDArray[Any], emit: Emit) -> None:
        loud = _rms(frame) >= self._threshold
        if loud or self._segment:
            self._quiet = 0 if loud else self._quiet + 1
            if self._quiet > self._hangover:
                await self._give(emit)
            else:
                if not self._segment:
                    self._start = self._frames_done
                self._segment.append(frame)
        self._frames_done += len(frame)
        if len(self._segment) >= self._longest:
            await self._give(emit)

    async def _give(self, emit: Emit) -> None:
        segment, self._segment, self._quiet = self._segment, [], 0
        if segment and self._base is not None:
            base = self._base
            start_us = (base.timestamp_us or 0) + round(self._start * 1_000_000 / base.sample_rate)
            await emit(replace(base, samples=np.concatenate(segment).reshape(-1), timestamp_us=start_us))


def _format(audio: Audio) -> tuple[Any, ...]:
    return audio.sample_rate, audio.channels, audio.samples.dtype, audio.stream_id


def _rms(frame: NDArray[Any]) -> float:
    """The root mean square of a frame, where full scale is 1."""
    scale = 1.0 if frame.dtype == np.float32 else float(np.iinfo(frame.dtype).max) + 1
    return float(np.sqrt(np.mean(np.square(frame.astype(np.float64) / scale))))


VAD_GATE = NodeType(
    "VadGate",
    _VadGate,
    takes=frozenset(["audio"]),
    gives=frozenset(["audio"]),
    params=Params(
        number("frame_ms", 20, least=1, most=1000),
        number("threshold_dbfs", -40, least=-200, most=0),
        number("hangover_ms", 200, least=0, most=60_000),
        number("max_segment_ms", 30_000, least=1, most=3_600_000),
    ),
)
"""Lets segments of speech through. Times in milliseconds; the threshold in decibels below full scale."""
