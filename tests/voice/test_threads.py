"""The threads of the engines."""

from __future__ import annotations

import asyncio
import os
import sys
import threading

import pytest

from rpe.voice.threads import NICENESS, in_voice_thread


async def test_the_work_is_done_beside_the_loop_in_few_threads() -> None:
    names = await asyncio.gather(
        *(in_voice_thread(lambda: threading.current_thread().name) for _ in range(8))
    )
    assert len(set(names)) <= 2 and threading.current_thread().name not in names


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a niceness of their own on Linux only")
async def test_the_threads_give_way_and_nobody_else_does() -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    here = niceness()
    assert await in_voice_thread(niceness) == max(NICENESS, here)
    assert niceness() == here


async def test_what_is_raised_there_is_raised_here() -> None:
    with pytest.raises(ZeroDivisionError):
        await in_voice_thread(lambda: 1 // 0)
