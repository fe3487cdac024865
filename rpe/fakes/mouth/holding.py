"""A server that does not read on: how far its caller gets, and what comes once it reads again.

Every byte that the caller may send is given to it here, so that it is known exactly when its
window is used up. Between that moment and the reading-on the caller is held.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable
from typing import Protocol

from rpe.clock import Clock
from rpe.fakes.mouth.script import StopReading

__all__ = ["CATCH_UP_S", "Holding", "Say"]

CATCH_UP_S = 0.1
"""What comes so soon after the reading-on is told of as what came at once."""


class Say(Protocol):
    """Writes an entry of the journal about what is held."""

    def __call__(self, fault: str, detail: str) -> None:
        """Write it, at the time of now."""
        ...


class _State(enum.Enum):
    READING = enum.auto()
    STOPPED = enum.auto()
    CATCHING_UP = enum.auto()
    DONE = enum.auto()


class Holding:
    """Follows one `StopReading` on one call.

    Arguments:
        fault: when to stop, and for how long.
        window_bytes: what the caller may send before anything is given back.
        clock: by which the caller is held.
        say: writes the journal.
        begin: starts a task that the connection owns.
    """

    def __init__(
        self,
        fault: StopReading,
        window_bytes: int,
        clock: Clock,
        say: Say,
        begin: Callable[[Holding], asyncio.Task[None]],
    ) -> None:
        self.on_resume: Callable[[int], None] | None = None
        self._fault = fault
        self._window_bytes = window_bytes
        self._initial_bytes = window_bytes
        self._clock = clock
        self._say = say
        self._begin = begin
        self._state = _State.READING
        self._timer: asyncio.Task[None] | None = None
        self._taken_bytes = 0
        self._messages = 0
        self._stalled_s: float | None = None
        self._burst_bytes = 0

    @property
    def stopped(self) -> bool:
        """Whether nothing is read now."""
        return self._state is _State.STOPPED

    def stops_at(self, messages: int) -> bool:
        """Say whether reading stops after so many messages."""
        return self._state is _State.READING and messages == self._fault.after_messages

    def stop(self, messages: int, taken_bytes: int) -> None:
        """Read no further; so many bytes that came with the last message are not read any more."""
        self._state = _State.STOPPED
        self._messages = messages
        self._taken_bytes = taken_bytes
        # All that was read has been given back, or is now: what is left is the window less what was not.
        self._window_bytes = self._initial_bytes - taken_bytes
        self._say("stop_reading", f"messages={messages} window_bytes={self._window_bytes}")
        self._check_stalled()
        if self._fault.for_s is not None:
            self._timer = self._begin(self)

    def came(self, cost_bytes: int) -> None:
        """Take note of a DATA frame."""
        if self._state is _State.STOPPED:
            self._taken_bytes += cost_bytes
            self._window_bytes -= cost_bytes
            self._check_stalled()
        elif self._state is _State.CATCHING_UP:
            self._burst_bytes += cost_bytes

    async def run(self) -> None:
        """Wait for as long as the script says, read on then, and see what comes."""
        assert self._fault.for_s is not None
        await self._clock.sleep(self._fault.for_s)
        self._resume()
        await self._clock.sleep(CATCH_UP_S)
        self._caught_up()

    def close(self) -> None:
        """The request is over, or the call is: nothing more is waited for."""
        if self._timer is not None and self._timer is not asyncio.current_task():
            self._timer.cancel()
        self._caught_up()

    def _resume(self) -> None:
        now_s = self._clock.now()
        held_s = 0.0 if self._stalled_s is None else now_s - self._stalled_s
        self._say("resumed", f"held_s={held_s:.6f} bytes={self._taken_bytes}")
        self._state = _State.CATCHING_UP
        assert self.on_resume is not None
        self.on_resume(self._taken_bytes)

    def _check_stalled(self) -> None:
        if self._window_bytes <= 0 and self._stalled_s is None:
            self._stalled_s = self._clock.now()
            self._say("stalled", f"bytes={self._taken_bytes} messages={self._messages}")

    def _caught_up(self) -> None:
        if self._state is _State.CATCHING_UP:
            self._state = _State.DONE
            self._say("caught_up", f"bytes={self._burst_bytes}")
