"""Whole recordings as input, one after the other."""

from __future__ import annotations

from rpe.chaos.workload.speech import recordings
from rpe.data import Audio

__all__ = ["Recordings"]


class Recordings:
    """An endless row of the recordings that travel with the toolkit, each whole, in order of their names.

    They come round again unmarked: what a pipeline makes of one is the same each time, and
    an answer is compared with what was made of it before anything went wrong.
    """

    def __init__(self) -> None:
        self._audio = [Audio.from_wav(path) for path in recordings()]

    def __len__(self) -> int:
        """How many there are before they come round again."""
        return len(self._audio)

    def piece(self, number: int) -> Audio:
        """Return a recording by its number, from 0; the numbers never end."""
        return self._audio[number % len(self._audio)]
