"""Watching over a peer that has no channel to be asked on: by its ICE agent, which everybody has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aioice.stun import TransactionError
from aiortc import RTCPeerConnection

from rpe.transport.webrtc.ice import ice_agents

__all__ = ["ConsentWatch"]


class ConsentWatch:
    """Asks the other agent for its consent (RFC 7675) often enough to notice silence within seconds.

    aioice asks every five seconds by itself and gives up after six silences. A browser, and
    every other agent, has to answer. The questions are small, and stop with `stop`.

    Arguments:
        connection: the peer connection; it need not be connected yet.
        interval_s: the time between two questions.
        grace_s: how long the other end may be silent.
        silent: is called once, with the reason, when it was for longer.
    """

    def __init__(
        self,
        connection: RTCPeerConnection,
        *,
        interval_s: float,
        grace_s: float,
        silent: Callable[[str], None],
    ) -> None:
        self._connection = connection
        self._interval_s = interval_s
        self._grace_s = grace_s
        self._silent = silent
        self._task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Ask no more, and wait until the last question has been given up. Harmless twice."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        heard_s = loop.time()
        while (silent_s := loop.time() - heard_s) < self._grace_s:
            await asyncio.sleep(self._interval_s)
            agents = [agent for agent in ice_agents(self._connection) if agent._nominated]
            answers = [await self._consents(agent) for agent in agents]
            # Before it is connected its silence says nothing: who connects has a time limit.
            if all(answers):
                heard_s = loop.time()
        self._silent(f"nothing was heard of it for {silent_s:.1f} s")

    async def _consents(self, agent: Any) -> bool:
        """Ask once, and wait for the answer for half a second."""
        pair = next(iter(agent._nominated.values()))
        try:
            await pair.protocol.request(
                agent.build_request(pair, nominate=False),
                pair.remote_addr,
                integrity_key=agent.remote_password.encode(),
                retransmissions=0,
            )
        except (TransactionError, OSError):
            return False
        return True
