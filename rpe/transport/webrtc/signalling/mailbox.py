"""What a signalling client waits for: answers by the number of their request, and candidates."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rpe.errors import ConnectionLost, ProtocolViolation, RpeError
from rpe.transport.webrtc.signalling.port import RemoteCandidate

__all__ = ["Mailbox", "read_sdp"]

MOST_CANDIDATES = 1024
"""More than any machine has addresses: a server that sends more is not to fill our memory."""


class Mailbox:
    """Filled by the reader of one connection, emptied by whoever waits.

    A wait that is cancelled leaves nothing behind, and its answer, if it still comes, is dropped.
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.lost = asyncio.Event()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._candidates: asyncio.Queue[RemoteCandidate | None] = asyncio.Queue()
        self._number = 0
        self._end: RpeError | None = None

    @contextmanager
    def request(self) -> Iterator[tuple[int, asyncio.Future[Any]]]:
        """Give the number of a new request, and what its answer is awaited by.

        Raises why the connection ended, where it has.
        """
        self.check()
        self._number += 1
        number, answer = self._number, asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            yield number, answer
        finally:
            del self._waiting[number]
            if not answer.cancel() and not answer.cancelled():
                answer.exception()  # it came, though nobody waits for it any more

    def check(self) -> None:
        """Raise ConnectionLost where the connection has ended."""
        if self.lost.is_set():
            raise self._ended() from self._end

    def settle(self, number: object, result: Any) -> None:
        """Hand over an answer. One that nobody waits for is dropped."""
        if (answer := self._find(number)) is not None:
            answer.set_result(result)

    def fail(self, number: object, error: RpeError) -> None:
        """Hand over an error as the answer."""
        if (answer := self._find(number)) is not None:
            answer.set_exception(error)

    def add(self, candidate: RemoteCandidate) -> None:
        """Keep a candidate until it is asked for. Raises ProtocolViolation where there are too many."""
        if self._candidates.qsize() >= MOST_CANDIDATES:
            raise ProtocolViolation(
                f"the signalling server sent more than {MOST_CANDIDATES} candidates", endpoint=self.endpoint
            )
        self._candidates.put_nowait(candidate)

    async def receive(self) -> RemoteCandidate | None:
        """Return the next candidate; None once the connection has ended and all that came was taken."""
        candidate = await self._candidates.get()
        if candidate is None:
            self._candidates.put_nowait(None)
        return candidate

    def end(self, error: RpeError) -> None:
        """Tell everybody who waits that the connection has ended, and why. Only the first reason counts."""
        if self.lost.is_set():
            return
        self._end = error
        self.lost.set()
        self._candidates.put_nowait(None)
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(error)

    def _find(self, number: object) -> asyncio.Future[Any] | None:
        answer = self._waiting.get(number) if isinstance(number, int) else None
        return None if answer is None or answer.done() else answer

    def _ended(self) -> ConnectionLost:
        reason = "" if self._end is None else f": {self._end.message}"
        return ConnectionLost(
            f"the signalling connection has ended{reason}", endpoint=self.endpoint, maybe_executed=False
        )


def read_sdp(result: Any, endpoint: str) -> str:
    """Find the SDP in the answer to an offer: text, or an object with `sdp`, or with such an `answer`.

    The protocol says only that it is in the result, and servers differ. Raises ProtocolViolation.
    """
    found = result
    for key in ("answer", "sdp"):
        if isinstance(found, dict) and key in found:
            found = found[key]
    if not isinstance(found, str) or not found.lstrip().startswith("v=0"):
        raise ProtocolViolation("the answer to an offer has no SDP in it", endpoint=endpoint)
    return found
