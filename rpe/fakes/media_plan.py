"""What the faults of audio do to each frame of one call: decided from counts and draws, with no I/O."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from rpe.fakes.media_script import (
    EndFault,
    EndMissing,
    EndTwice,
    FrameFault,
    MediaFault,
    MediaScript,
)

__all__ = ["WHERE", "Frame", "MediaClock", "MediaPlan", "told"]

WHERE = frozenset({"call", "rate", "at_s", "for_s", "at_result", "results", "media_s"})
"""The fields that say where a fault is; the others say what it is."""

Draws = Callable[[str], random.Random]
"""Gives the generator of a name, the same for the same name."""


class MediaClock:
    """The time of a stream's own samples: exact, also where the sample rate changes on the way."""

    def __init__(self) -> None:
        self._before_s = Fraction(0)
        self._rate = 1
        self._steps = 0

    @property
    def now_s(self) -> Fraction:
        """Seconds of audio so far."""
        return self._before_s + Fraction(self._steps, self._rate)

    def go_on(self, steps: int, rate: int) -> None:
        """Add so many samples of each channel, of so many in a second."""
        if rate != self._rate and steps:
            self._before_s, self._rate, self._steps = self.now_s, rate, 0
        self._steps += steps


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: its number, from when to when it sounds, and what happens to it, in the script's order."""

    number: int
    begin_s: Fraction
    end_s: Fraction
    faults: tuple[FrameFault, ...]


class MediaPlan:
    """Decides for the frames of one call, one after the other, and for its end.

    Each fault that leaves something to chance draws once for each frame, wherever it is to
    happen, from a generator named by what the fault says: so a fault more, wherever it
    stands in the list, changes nothing about the others.

    Arguments:
        call: the number of the call, counted from 0 since the script was set.
        draws: gives the generator of each fault.
    """

    def __init__(self, script: MediaScript, call: int, draws: Draws) -> None:
        self.call = call
        self._clock = MediaClock()
        self._number = 0
        self._listed: list[tuple[int, FrameFault, random.Random | None]] = []
        self._counted: dict[int, list[tuple[int, FrameFault]]] = defaultdict(list)
        self._ends: list[tuple[EndFault, random.Random | None]] = []
        seen: Counter[str] = Counter()
        for place, fault in enumerate((*script.trace, *script.faults)):
            name = fault.model_dump_json()
            rng = draws(f"{name}/{seen[name]}") if fault.rate < 1 else None
            seen[name] += 1
            if fault.call is not None and fault.call != call:
                continue
            if isinstance(fault, EndMissing | EndTwice):
                self._ends.append((fault, rng))
            elif rng is None and fault.at_result is not None and fault.results in (None, 1):
                self._counted[fault.at_result].append((place, fault))
            else:
                self._listed.append((place, fault, rng))

    def next(self, steps: int, rate: int) -> Frame:
        """Decide for the next frame, of so many samples of each channel at that sample rate."""
        number, begin_s = self._number, self._clock.now_s
        self._clock.go_on(steps, rate)
        self._number += 1
        end_s = self._clock.now_s
        fired = self._counted.get(number, [])[:]
        for place, fault, rng in self._listed:
            drawn = 0.0 if rng is None else rng.random()
            if drawn < fault.rate and fault.holds(number, begin_s, end_s):
                fired.append((place, fault))
        fired.sort(key=lambda found: found[0])
        return Frame(number, begin_s, end_s, tuple(fault for _, fault in fired))

    def end(self) -> EndFault | None:
        """Decide how a session ends that its caller closes: the first fault that fires."""
        fired = [fault for fault, rng in self._ends if rng is None or rng.random() < fault.rate]
        return fired[0] if fired else None


def told(fault: MediaFault, call: int, frame: Frame | None = None) -> dict[str, Any]:
    """Return a fault that fired as a fault by count, which fires there again: what a trace consists of."""
    form = fault.model_dump(mode="json", exclude=set(WHERE), exclude_defaults=True)
    form["call"] = call
    if frame is not None:
        form["at_result"] = frame.number
        form["media_s"] = float(frame.begin_s)
    return form
