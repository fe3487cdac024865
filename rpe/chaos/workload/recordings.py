"""Whole recordings as input, one after the other."""

from __future__ import annotations

from rpe.chaos.workload.speech import recordings
from rpe.data import Audio

__all__ = ["Recordings"]


LONGEST_S = 5.5
"""Longer ones are left out: recognising the words of one takes a fifth of its length, on every machine
that has to do it, and several runs share this one."""


class Recordings:
    """An endless row of the shorter recordings that travel with the toolkit, each whole, by their names.

    They come round again unmarked: what a pipeline makes of one is the same each time, and
    an answer is compared with what was made of it before anything went wrong.
    """

    def __init__(self) -> None:
        audio = [Audio.from_wav(path) for path in recordings()]
        self._audio = [one for one in audio if one.duration_s <= LONGEST_S] or audio

    def __len__(self) -> int:
        """How many there are before they come round again."""
        return len(self._audio)

    def piece(self, number: int) -> Audio:
        """Return a recording by its number, from 0; the numbers never end."""
        return self._audio[number % len(self._audio)]
