"""A session of the hand-written client that is taken to another endpoint when its own fails."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from rpe.chaos.subject import SubjectOperation
from rpe.data import RuntimeData
from rpe.errors import RpeError, StreamBroken
from tests.known_bad.stream import Given, Stream

if TYPE_CHECKING:
    from tests.known_bad.base import BaseClient
    from tests.known_bad.pool import Endpoint

__all__ = ["MovingStream"]


class MovingStream(Stream):
    """Moves as often as an operation of its client may be tried, within the deadline of the whole session.

    What was not answered yet is sent again at the new endpoint; an answer to what has been
    answered already is dropped.
    """

    def __init__(
        self, client: BaseClient, endpoint: Endpoint, operation: SubjectOperation, number: int
    ) -> None:
        super().__init__(client, endpoint, operation, number)
        self._unanswered: dict[int, RuntimeData] = {}
        self.moving = False
        self._finished = False
        self._tried: list[Endpoint] = []
        self._turns = asyncio.Lock()

    async def send(self, sequence: int, data: RuntimeData) -> None:
        """Send one chunk, now or with the next move."""
        async with self._turns:
            self._unanswered[sequence] = data
            # Where the session has broken, the receiving side notices, and sends this again.
            with suppress(StreamBroken):
                await super().send(sequence, data)

    async def receive(self) -> Given | None:
        """Return the next answer that is new, from whichever endpoint."""
        while True:
            try:
                given = await super().receive()
            except StreamBroken as error:
                await self._move(error)
            else:
                if given is None or self.new(given[0]):
                    return given

    async def finish(self) -> None:
        """Say that no more chunks follow, now or with the next move."""
        async with self._turns:
            self._finished = True
            with suppress(StreamBroken):
                await super().finish()

    def new(self, sequence: int) -> bool:
        """An answer has come: whether it is the first one to its chunk."""
        return self._unanswered.pop(sequence, None) is not None

    def missing(self) -> Mapping[int, RuntimeData]:
        """What the next endpoint has to be sent, by number and in order."""
        return self._unanswered

    async def _move(self, error: RpeError) -> None:
        """Open the session at another endpoint. Raises the last error where that is of no use any more."""
        async with self._turns:
            self.moving = True
            await self._reopen(error)
            # Where the new one breaks as well, the receiving side notices that too.
            with suppress(StreamBroken):
                for sequence, data in list(self.missing().items()):
                    await super().send(sequence, data)
                if self._finished:
                    await super().finish()
            self.moving = False

    async def _reopen(self, error: RpeError) -> None:
        client, tried = self.client, self._tried
        while True:
            tried.append(self.endpoint)
            pause_s = client.pause_s(tried, error)
            if not client.again(self.operation, error, tried, pause_s, self.started_s):
                raise error
            await asyncio.sleep(pause_s)
            self.endpoint = client.pick(tried)
            self.number += 1
            try:
                return await self.open()
            except RpeError as failed:
                error = failed
