"""What is garbage is not a leak, also where it becomes garbage a moment late."""

from __future__ import annotations

import asyncio
import socket

from rpe.chaos.resources import settled_snapshot, take_snapshot
from rpe.clock import SYSTEM_CLOCK


class Ring:
    """Holds itself and a socket, as a cancelled call holds its error, its frames and its connection."""

    def __init__(self) -> None:
        self.itself = self
        self.socket = socket.create_server(("127.0.0.1", 0))

    def __del__(self) -> None:
        self.socket.close()


async def test_a_circle_that_is_let_go_of_during_the_counting_is_not_held_against_the_client() -> None:
    before = take_snapshot()
    held = [Ring()]
    asyncio.get_running_loop().call_later(0.05, held.clear)
    assert (await settled_snapshot(SYSTEM_CLOCK, before)).sockets == before.sockets


async def test_one_that_is_kept_is() -> None:
    before = take_snapshot()
    held = [Ring()]
    after = await settled_snapshot(SYSTEM_CLOCK, before, settle_s=0.1)
    assert after.sockets == before.sockets + 1
    held.clear()
