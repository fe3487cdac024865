"""Times in which the machine did not let this process run, noticed by a thread that ticks.

On a shared machine a process can stand still for half a second. Every deadline that
passes meanwhile looks like the client's fault, so such times are written into the history,
and what depends on time is not held against the client there (`rpe.chaos.verdict`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

__all__ = ["STALL_S", "TICK_S", "Stall", "StallWatch"]

TICK_S = 0.05
"""How often the thread wakes."""

STALL_S = 0.25
"""How late it must be for that to be told."""

Stall = tuple[float, float]
"""When it ended on the monotonic clock, and how long it was, in seconds."""


class StallWatch:
    """Collects stalls between entering and leaving; use it as `with`.

    A client that blocks the event loop is no stall: the thread runs on meanwhile. Where
    the thread did not run either, but the process was busy for most of that time, the client
    held the interpreter, and that is its own fault.

    Arguments:
        now_s: the monotonic clock.
        cpu_s: the processor time that this process has used.
    """

    def __init__(
        self, now_s: Callable[[], float] = time.monotonic, cpu_s: Callable[[], float] = time.process_time
    ) -> None:
        self.stalls: list[Stall] = []
        self._now_s = now_s
        self._cpu_s = cpu_s
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="stall-watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join()

    def _watch(self) -> None:
        last_s, last_cpu_s = self._now_s(), self._cpu_s()
        while not self._ending.wait(TICK_S):
            now_s, cpu_s = self._now_s(), self._cpu_s()
            late_s = now_s - last_s - TICK_S
            if late_s >= STALL_S and cpu_s - last_cpu_s < late_s / 2:
                self.stalls.append((now_s, late_s))
            last_s, last_cpu_s = now_s, cpu_s
