"""Voice activity: the parts of sound that are loud enough to be speech."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import Field

from rpe.data import Audio, RuntimeData
from rpe.fakes.nodes import NodeCall, NodeOutput
from rpe.fakes.pipelines.ready import IN_SESSION, Settings, ready
from rpe.fakes.pipelines.sound import levels_db, taken_audio

__all__ = ["SpeechSettings", "segments"]

Milliseconds = Annotated[int, Field(strict=True, ge=0, le=60_000)]


class SpeechSettings(Settings):
    """Which sound is speech."""

    threshold_db: Annotated[float, Field(ge=-120, le=0)] = -40.0
    """What is louder than this is speech; 0 is full scale."""
    frame_ms: Annotated[int, Field(strict=True, ge=1, le=1000)] = 20
    """How much sound is judged at a time."""
    bridge_ms: Milliseconds = 200
    """Pauses up to this length are part of the speech around them."""
    least_ms: Milliseconds = 60
    """Shorter speech is noise, unless it touches an edge of the chunk, beyond which it may go on."""


def segments(audio: Audio, settings: SpeechSettings) -> list[tuple[int, int]]:
    """Return where speech begins and ends, in frames of the audio's own sample rate."""
    step = max(1, audio.sample_rate * settings.frame_ms // 1000)
    loud = np.flatnonzero(levels_db(audio, step) > settings.threshold_db).tolist()
    count = len(audio.frames)
    found: list[tuple[int, int]] = []
    for place in loud:
        begin, end = place * step, min((place + 1) * step, count)
        if found and (begin - found[-1][1]) * 1000 <= settings.bridge_ms * audio.sample_rate:
            found[-1] = (found[-1][0], end)
        else:
            found.append((begin, end))
    least = settings.least_ms * audio.sample_rate / 1000
    return [(begin, end) for begin, end in found if end - begin >= least or begin == 0 or end == count]


@ready("speech", SpeechSettings)
def _speech(data: RuntimeData, call: NodeCall, settings: SpeechSettings) -> NodeOutput:
    """Give the segments of speech in a piece of sound, each labelled with where it was in it.

    In a session each segment is a result; the answer to a unary call is all speech in one.
    """
    audio = taken_audio(data, call)
    found = segments(audio, settings)
    places = [[begin / audio.sample_rate, end / audio.sample_rate] for begin, end in found]
    if IN_SESSION.get():
        return [
            _part(audio, [segment], {"start_s": f"{start_s:.6f}", "end_s": f"{end_s:.6f}"})
            for segment, (start_s, end_s) in zip(found, places, strict=True)
        ]
    return _part(audio, found, {"segments": json.dumps(places)})


def _part(audio: Audio, found: list[tuple[int, int]], labels: dict[str, str]) -> Audio:
    frames = [audio.frames[begin:end] for begin, end in found]
    samples = np.concatenate(frames).reshape(-1) if frames else audio.samples[:0]
    timestamp_us = audio.timestamp_us
    if timestamp_us is not None and found:
        timestamp_us += found[0][0] * 1_000_000 // audio.sample_rate
    return replace(audio, samples=samples, timestamp_us=timestamp_us, metadata={**audio.metadata, **labels})
