"""What a process holds is counted, and given time to settle."""

from __future__ import annotations

import asyncio
import socket

from rpe.chaos.resources import settled_snapshot, take_snapshot
from rpe.clock import SYSTEM_CLOCK


async def test_tasks_sockets_and_descriptors_are_counted() -> None:
    before = take_snapshot()
    task = asyncio.create_task(asyncio.sleep(30))
    with socket.create_server(("127.0.0.1", 0)):
        now = take_snapshot(in_flight=3)
        assert (now.tasks - before.tasks, now.sockets - before.sockets) == (1, 1)
        assert now.fds > before.fds
        assert now.as_fields()["in_flight"] == 3
        assert not now.settled(before)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert take_snapshot().settled(before)


async def test_a_child_process_is_counted() -> None:
    before = take_snapshot()
    child = await asyncio.create_subprocess_exec("sleep", "30")
    assert take_snapshot().children - before.children == 1
    child.kill()
    await child.wait()
    assert (await settled_snapshot(SYSTEM_CLOCK, before)).settled(before)


async def test_what_is_given_back_a_little_later_is_waited_for_but_not_for_ever() -> None:
    before = take_snapshot()
    leaving = asyncio.create_task(asyncio.sleep(0.05))
    assert (await settled_snapshot(SYSTEM_CLOCK, before)).tasks == before.tasks
    await leaving
    staying = asyncio.create_task(asyncio.sleep(30))
    assert (await settled_snapshot(SYSTEM_CLOCK, before, settle_s=0.05)).tasks == before.tasks + 1
    staying.cancel()
    await asyncio.gather(staying, return_exceptions=True)
