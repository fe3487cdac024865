"""The line that audio passes on its way out: what goes in is honest, what comes out is as the script has it.

No I/O here: the line says what to send, what to wait for before, and what to write into the journal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple

from rpe.data import Audio, RuntimeData
from rpe.fakes.media_effects import affected
from rpe.fakes.media_plan import Frame, MediaPlan, told
from rpe.fakes.media_script import (
    ClockDrift,
    DropFrame,
    DuplicateFrame,
    EndFault,
    FrameFault,
    Gap,
    LateFrame,
    MediaFault,
    ReorderFrame,
    RepeatSequence,
    TimestampJump,
    exact,
)

__all__ = ["MediaLine", "Outgoing", "Told"]


class Told(NamedTuple):
    """A fault that fired, as the journal tells it: its name, and the fault by count as JSON."""

    fault: str
    detail: str


class Outgoing(NamedTuple):
    """What is next: write down what is told, wait, and send the outputs, where there are some."""

    sequence: int
    outputs: Mapping[str, RuntimeData] | None
    wait_s: float = 0.0
    told: tuple[Told, ...] = ()


@dataclass(slots=True)
class _Held:
    left: int
    results: list[Outgoing]


class MediaLine:
    """The results of one call on their way out. One line serves one session, or one unary answer."""

    def __init__(self, plan: MediaPlan) -> None:
        self._plan = plan
        self._held: list[_Held] = []
        self._last: int | None = None
        self._off_us = Fraction(0)

    def feed(self, sequence: int, outputs: Mapping[str, RuntimeData]) -> list[Outgoing]:
        """Put in one result of a session, and return what goes out now."""
        held = list(self._held)
        out = [Outgoing(sequence, outputs)]
        if any(isinstance(data, Audio) for data in outputs.values()):
            out = self._disturbed(sequence, outputs)
        self._last = sequence
        for waiting in held:
            waiting.left -= 1
            if waiting.left <= 0:
                self._held.remove(waiting)
                out += waiting.results
        return out

    def flush(self) -> list[Outgoing]:
        """Return what still waits, at the end of a session."""
        held, self._held = self._held, []
        return [result for waiting in held for result in waiting.results]

    def end(self) -> tuple[EndFault | None, tuple[Told, ...]]:
        """Return how the session ends, None for well, and what to write down of it."""
        fault = self._plan.end()
        return fault, () if fault is None else (self._tell(fault),)

    def answer(
        self, outputs: Mapping[str, RuntimeData]
    ) -> tuple[dict[str, RuntimeData], float, tuple[Told, ...]]:
        """Put in a whole unary answer. Returns it disturbed, what to wait before it, and what to write down.

        Each of its audio outputs is a frame. What only a session has a place for does not happen.
        """
        given: dict[str, RuntimeData] = {}
        wait_s, said = 0.0, list[Told]()
        for name, data in outputs.items():
            if not isinstance(data, Audio):
                given[name] = data
                continue
            frame = self._next(data)
            faults = [fault for fault in frame.faults if fault.unary]
            said += [self._tell(fault, frame) for fault in faults]
            wait_s += _wait_s(faults)
            self._jump(faults)
            if not any(isinstance(fault, DropFrame) for fault in faults):
                given[name] = self._stamped(affected(data, faults), frame)
            self._drift(frame, faults)
        return given, wait_s, tuple(said)

    def _disturbed(self, sequence: int, outputs: Mapping[str, RuntimeData]) -> list[Outgoing]:
        """Return what goes out of a result with audio; what is to wait is put aside."""
        frame = self._next(next(data for data in outputs.values() if isinstance(data, Audio)))
        # The first result has no number before it to repeat.
        faults = [
            fault for fault in frame.faults if self._last is not None or not isinstance(fault, RepeatSequence)
        ]
        kinds = {type(fault) for fault in faults}
        self._jump(faults)
        changed = {
            name: self._stamped(affected(data, faults), frame) if isinstance(data, Audio) else data
            for name, data in outputs.items()
        }
        self._drift(frame, faults)
        if RepeatSequence in kinds and self._last is not None:
            sequence = self._last
        said = tuple(self._tell(fault, frame) for fault in faults)
        first = Outgoing(sequence, changed, _wait_s(faults), said)
        if DropFrame in kinds:
            return [first._replace(outputs=None)]
        results = [Outgoing(sequence, changed)] * (2 if DuplicateFrame in kinds else 1)
        after = max((fault.after for fault in faults if isinstance(fault, ReorderFrame)), default=0)
        if after:
            self._held.append(_Held(after, results))
            return [first._replace(outputs=None)]
        return [first, *results[1:]]

    def _next(self, audio: Audio) -> Frame:
        return self._plan.next(audio.samples.size // (audio.channels or 1), audio.sample_rate or 1)

    def _jump(self, faults: Iterable[FrameFault]) -> None:
        for fault in faults:
            if isinstance(fault, TimestampJump | Gap):
                self._off_us += exact(fault.by_s) * 1_000_000

    def _drift(self, frame: Frame, faults: Iterable[FrameFault]) -> None:
        for fault in faults:
            if isinstance(fault, ClockDrift):
                self._off_us += (frame.end_s - frame.begin_s) * exact(fault.ppm)

    def _stamped(self, audio: Audio, frame: Frame) -> Audio:
        """Return the audio with its timestamp moved; where it has none, by the media clock."""
        if not self._off_us:
            return audio
        honest_us = frame.begin_s * 1_000_000 if audio.timestamp_us is None else audio.timestamp_us
        return replace(audio, timestamp_us=max(round(honest_us + self._off_us), 0))

    def _tell(self, fault: MediaFault, frame: Frame | None = None) -> Told:
        return Told(f"media_{fault.kind}", json.dumps(told(fault, self._plan.call, frame)))


def _wait_s(faults: Iterable[FrameFault]) -> float:
    waits = [fault.delay_s for fault in faults if isinstance(fault, LateFrame)]
    return sum(waits + [fault.by_s for fault in faults if isinstance(fault, Gap)])
