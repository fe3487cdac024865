"""The threads in which voice engines work, so that an event loop goes on meanwhile."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

__all__ = ["VOICE_THREADS", "in_voice_thread"]

T = TypeVar("T")

NICENESS = 10
"""By how much the threads give way where a core is wanted by somebody else too, such as the event loop."""


def _give_way() -> None:
    # Only Linux has a niceness for each thread; elsewhere this would be the whole process.
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


VOICE_THREADS = ThreadPoolExecutor(2, thread_name_prefix="rpe voice", initializer=_give_way)
"""The threads of this process, each started at its first need; they stay. The engines' libraries start
threads of their own for each thread that they are called from, so there are few."""


async def in_voice_thread(function: Callable[..., T], *arguments: object) -> T:
    """Call a function in one of the threads, and return what it returns.

    Who is cancelled here leaves the thread to end what it has begun, of which nobody takes the result.
    """
    return await asyncio.get_running_loop().run_in_executor(VOICE_THREADS, function, *arguments)
