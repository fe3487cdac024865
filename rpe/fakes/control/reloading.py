"""Following files: what is served is read anew when they change, or on SIGHUP."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.errors import RpeError, redact

__all__ = ["POLL_S", "follow_files", "follow_until", "hang_ups"]

POLL_S = 0.5
"""How often files are looked at."""

State = dict[Path, tuple[int, int] | None]


async def follow_files(
    files: Callable[[], Iterable[Path]],
    reload: Callable[[], Awaitable[str]],
    *,
    asked: asyncio.Event,
    watch: bool = True,
    clock: Clock = SYSTEM_CLOCK,
    tell: Callable[[str], object] = sys.stderr.write,
) -> None:
    """Call `reload` whenever files have changed or `asked` is set, until it is cancelled.

    Where that fails, what is wrong is told once, what was served stays, and the next change is tried again.

    Arguments:
        files: those that are looked at, asked each time: files may come and go.
        reload: reads them, and returns a line that tells of it.
        asked: set by whoever wants it read now; cleared here.
        watch: whether files are looked at; otherwise only `asked` counts.
    """
    seen = _state(files()) if watch else {}
    while True:
        await _next_look(asked, clock if watch else None)
        now = _state(files()) if watch else {}
        if now == seen and not asked.is_set():
            continue
        asked.clear()
        seen = now
        try:
            tell(f"rpe fake: {await reload()}\n")
        except (RpeError, OSError) as error:
            tell(f"rpe fake: what was served stays as it is: {redact(str(error))}\n")


async def _next_look(asked: asyncio.Event, clock: Clock | None) -> None:
    if clock is None:
        await asked.wait()
        return
    try:
        async with clock.deadline(clock.now() + POLL_S):
            await asked.wait()
    except TimeoutError:
        pass


def _state(files: Iterable[Path]) -> State:
    return {file: _stamp(file) for file in files}


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


async def follow_until(ending: asyncio.Event, following: Coroutine[Any, Any, None]) -> None:
    """Follow files until `ending` is set."""
    async with asyncio.TaskGroup() as group:
        follower = group.create_task(following)
        await ending.wait()
        follower.cancel()


@contextmanager
def hang_ups() -> Iterator[asyncio.Event]:
    """Inside, SIGHUP sets the event that this gives. Must be entered on the main thread, in a loop."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, asked.set)
    try:
        yield asked
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
