"""The threads in which voice engines work, so that an event loop goes on meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["VOICE_THREADS", "in_voice_thread"]

T = TypeVar("T")

VOICE_THREADS = ThreadPoolExecutor(2, thread_name_prefix="rpe voice")
"""The threads of this process, each started at its first need; they stay. The engines' libraries start
threads of their own for each thread that they are called from, so there are few."""


async def in_voice_thread(function: Callable[..., T], *arguments: object) -> T:
    """Call a function in one of the threads, and return what it returns.

    Who is cancelled here leaves the thread to end what it has begun, of which nobody takes the result.
    """
    return await asyncio.get_running_loop().run_in_executor(VOICE_THREADS, function, *arguments)
