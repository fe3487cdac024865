"""Real speech as input: the recordings that travel with the toolkit, cut into pieces of one length."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from rpe.chaos.content import content_path
from rpe.data import Audio
from rpe.errors import ConfigurationError

__all__ = ["Speech", "recordings"]


@cache
def recordings() -> tuple[Path, ...]:
    """Return the recordings, in order of their names. Raises ConfigurationError where there are none."""
    folder = content_path("fakes", "media", "speech")
    found = tuple(sorted(folder.glob("*.wav")))
    if not found:
        raise ConfigurationError(f"there are no recordings in {folder}", hint="install rpe again")
    return found


class Speech:
    """Recordings laid end to end, as an endless row of pieces of `chunk_ms` each.

    No two pieces within one turn through the recordings are equal, so that an answer can
    be told from that to any other piece. A piece that the recordings have given before is
    marked with the number of the turn in its first sample, which nobody hears.
    """

    def __init__(self, chunk_ms: float, paths: Sequence[Path] | None = None) -> None:
        audio = [Audio.from_wav(path) for path in (recordings() if paths is None else paths)]
        self.sample_rate = audio[0].sample_rate
        if any((a.sample_rate, a.channels) != (self.sample_rate, 1) for a in audio):
            raise ConfigurationError("the recordings must be mono and of one sample rate")
        self._length = max(1, round(self.sample_rate * chunk_ms / 1000))
        samples = np.concatenate([a.samples for a in audio])
        # A recording shorter than one piece is heard again until the piece is full.
        samples = np.resize(samples, max(len(samples), self._length))
        whole = len(samples) - len(samples) % self._length
        self._pieces = samples[:whole].reshape(-1, self._length)

    def __len__(self) -> int:
        """How many pieces there are before they come round again."""
        return len(self._pieces)

    def piece(self, number: int) -> Audio:
        """Return a piece by its number, from 0; the numbers never end."""
        turn, position = divmod(number, len(self._pieces))
        samples = self._pieces[position]
        if turn:
            samples = samples.copy()
            samples[0] = (int(samples[0]) + turn + 2**15) % 2**16 - 2**15
        return Audio(samples, sample_rate=self.sample_rate)
