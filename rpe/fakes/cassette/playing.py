"""Playing the steps of one recorded call to whoever called, at the recorded pace or another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from rpe.clock import Clock
from rpe.fakes.cassette.lines import EndLine, HeadersLine
from rpe.fakes.cassette.played import PlayedCall
from rpe.fakes.cassette.steps import Step

__all__ = ["Arrivals", "Begun", "Mouth", "play"]

_READ_FIRST_S = 0.02
"""A break waits so long behind a message: on its heels it would take the message with it."""


class Mouth(Protocol):
    """What speaks one wire to the caller of one call."""

    async def headers(self, told: HeadersLine) -> None:
        """Send headers."""
        ...

    async def answer(self, data: bytes) -> None:
        """Send a message."""
        ...

    async def end(self, told: EndLine | None) -> str:
        """End as it was recorded; None is a call that was not finished. Return what it ended as."""
        ...

    async def fault(self, kind: str) -> str:
        """End with a `status`, a `cut` or a `hang`. Return what it ended as."""
        ...


class Arrivals:
    """When each message of a caller's came, and its end."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._came_s = [clock.now()]
        self._closed_s: float | None = None
        self._moved = asyncio.Event()

    @property
    def count(self) -> int:
        """How many messages have come."""
        return len(self._came_s) - 1

    def came(self) -> None:
        """A message has come."""
        self._came_s.append(self._clock.now())
        self._wake()

    def closed(self) -> None:
        """The caller has sent everything."""
        self._closed_s = self._clock.now()
        self._wake()

    async def reached(self, requests: int, closed: bool) -> float:
        """Wait until so many have come, and the end where `closed`; return when they had.

        A caller that ends with fewer is not waited for any longer.
        """
        while self._closed_s is None and (closed or self.count < requests):
            await self._moved.wait()
        if closed or self.count < requests:
            assert self._closed_s is not None
            return self._closed_s
        return self._came_s[requests]

    def _wake(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()


class Begun:
    """Which recordings are being played, so that an event stream can wait for what it had answered."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._begun_s: dict[int, float] = {}
        self._moved = asyncio.Event()

    def begin(self, number: int) -> None:
        """A recording is played from now on. What had been told of it before is forgotten."""
        self._begun_s[number] = self._clock.now()
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def all_of(self, numbers: Sequence[int]) -> float:
        """Wait until these are, and return when the last of them was; 0 for none."""
        while any(number not in self._begun_s for number in numbers):
            await self._moved.wait()
        return max((self._begun_s[number] for number in numbers), default=0.0)


async def play(
    steps: Sequence[Step],
    mouth: Mouth,
    arrivals: Arrivals,
    begun: Begun,
    played: PlayedCall,
    *,
    speed: float,
    clock: Clock,
) -> None:
    """Play the steps of one call. At a speed of 0 nothing is waited for but the caller.

    On return the call has ended, and `played` tells how. Cancelled, it tells that the caller has gone.
    """
    late_s = 0.0
    sent_s = float("-inf")
    try:
        for step in steps:
            since_s = await arrivals.reached(step.requests, step.closed)
            since_s = max(since_s, await begun.all_of(step.others))
            late_s += step.delay_s
            due_s = since_s + late_s + (step.gap_s / speed if speed else 0.0)
            if _breaks(step):
                due_s = max(due_s, sent_s + _READ_FIRST_S)
            if due_s > clock.now():
                await clock.sleep_until(due_s)
            if step.fault:
                played.faults.append(step.fault)
            match step.kind:
                case "headers":
                    assert isinstance(step.told, HeadersLine)
                    await mouth.headers(step.told)
                case "answer":
                    await mouth.answer(step.data)
                    played.answers += 1
                    sent_s = clock.now()
                case "nothing":
                    pass
                case "end":
                    assert step.told is None or isinstance(step.told, EndLine)
                    played.ended = _told(step.told)
                    played.ended = await mouth.end(step.told)
                case "status" | "cut" | "hang":
                    played.ended = step.kind
                    played.ended = await mouth.fault(step.kind)
    finally:
        played.ended = played.ended or "cancelled"


def _breaks(step: Step) -> bool:
    if step.kind == "end":
        return step.told is None or (
            isinstance(step.told, EndLine) and step.told.how not in ("status", "complete", "deadline")
        )
    return step.kind == "cut"


def _told(end: EndLine | None) -> str:
    """What a journal is told of an end, before anybody can see it."""
    if end is None:
        return "unfinished"
    return end.code if end.how in ("status", "deadline") else end.how
