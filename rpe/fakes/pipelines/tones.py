"""Text to speech in tones: one for each word, in frames that carry their numbers."""

from __future__ import annotations

import zlib
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from rpe.data import Audio, RuntimeData
from rpe.fakes.nodes import NodeCall, NodeOutput
from rpe.fakes.pipelines.numbered import NUMBER_SAMPLES, number_samples
from rpe.fakes.pipelines.ready import IN_SESSION, Settings, ready
from rpe.fakes.pipelines.sound import taken_text
from rpe.fakes.pipelines.transcript import is_partial

__all__ = ["TonesSettings", "spoken"]

Frames = Annotated[int, Field(strict=True, ge=1, le=1000)]


class TonesSettings(Settings):
    """How it sounds."""

    sample_rate: Annotated[int, Field(strict=True, ge=8000, le=192_000)] = 16_000
    """Samples per second; there is one channel."""
    frame_ms: Annotated[int, Field(strict=True, ge=1, le=1000)] = 20
    """The length of a frame."""
    word_frames: Frames = 8
    """How many frames a word sounds."""
    pause_frames: Annotated[int, Field(strict=True, ge=0, le=1000)] = 2
    """How many silent frames follow a word."""
    chunk_frames: Frames = 5
    """In sessions: how many frames a result has; the last one of a text may have fewer."""

    @property
    def frame_samples(self) -> int:
        """How many samples a frame has."""
        return self.sample_rate * self.frame_ms // 1000

    @model_validator(mode="after")
    def _room_for_the_number(self) -> Self:
        if self.frame_samples < 2 * NUMBER_SAMPLES:
            least_ms = -(-2 * NUMBER_SAMPLES * 1000 // self.sample_rate)
            raise ValueError(
                f"frame_ms of {self.frame_ms} leaves no room for a frame's number: at least {least_ms}"
            )
        return self


def spoken(text: str, settings: TonesSettings) -> list[NDArray[np.float32]]:
    """Return the frames of a text, in order; the n-th carries the number n, from 0."""
    frames: list[NDArray[np.float32]] = []
    for word in text.split():
        for place in range(settings.word_frames + settings.pause_frames):
            sounding = place < settings.word_frames
            frames.append(_frame(word if sounding else "", place, len(frames), settings))
    return frames


def _frame(word: str, place: int, number: int, settings: TonesSettings) -> NDArray[np.float32]:
    """Return one frame: its number, and then the tone of the word, or silence where there is none."""
    size = settings.frame_samples
    frame = np.zeros(size, np.float32)
    if word:
        # The pitch comes from the word, so that the same word always sounds the same.
        pitch_hz = 300 + zlib.crc32(word.casefold().encode()) % 28 * 50
        times_s = (np.arange(size) + place * size) / settings.sample_rate
        # On the grid of 16 bits, so that a recording to WAV loses nothing.
        frame[:] = np.rint(np.sin(2 * np.pi * pitch_hz * times_s) * 6000) / 32768
    frame[:NUMBER_SAMPLES] = number_samples(number)
    return frame


@ready("tones", TonesSettings)
def _tones(data: RuntimeData, call: NodeCall, settings: TonesSettings) -> NodeOutput:
    """Speak a text in tones: in chunks of some frames in a session, else in one piece.

    Transcripts that are not whole yet are not spoken. Each piece is labelled with its first frame.
    """
    text = taken_text(data, call)
    frames = [] if is_partial(text) else spoken(text.text, settings)
    size = settings.chunk_frames if IN_SESSION.get() else max(1, len(frames))
    pieces = [
        Audio(
            np.concatenate(frames[first : first + size]),
            settings.sample_rate,
            metadata={**text.metadata, "first_frame": str(first)},
        )
        for first in range(0, len(frames), size)
    ]
    if pieces or IN_SESSION.get():
        return pieces
    return Audio(np.empty(0, np.float32), settings.sample_rate, metadata=text.metadata)
