"""Clients that are careless with sessions."""

from __future__ import annotations

import asyncio
from typing import Any

from rpe.chaos.subject import SubjectOperation
from rpe.data import RuntimeData
from rpe.errors import StreamBroken
from tests.known_bad.base import BaseClient
from tests.known_bad.pool import Endpoint
from tests.known_bad.stream import Given, Stream

__all__ = ["ReordersAnswers", "ReplaysSessions", "SwallowsCuts"]


class SwallowsCuts(BaseClient):
    """A stream that is cut ends for its caller like one that is complete.

    A broken stream ended like a complete one, with less in it: headroomlabs-ai/headroom#2682,
    burncloud/burncloud#342.
    """

    def stream(self, endpoint: Endpoint, operation: SubjectOperation, number: int) -> Stream:
        return _Swallowing(self, endpoint, operation, number)


class _Swallowing(Stream):
    async def receive(self) -> Given | None:
        try:
            return await super().receive()
        except StreamBroken:
            return None


class ReplaysSessions(BaseClient):
    """After a cut it quietly opens another session and sends everything again, so answers come twice.

    After a reconnect the stream began again where it had begun at first, so everything came twice:
    motis-project/motis#390, WallarooLabs/wally#660.
    """

    def stream(self, endpoint: Endpoint, operation: SubjectOperation, number: int) -> Stream:
        return _Replaying(self, endpoint, operation, number)


class _Replaying(Stream):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._sent: list[tuple[int, RuntimeData]] = []
        self._finished = False
        self._turns = asyncio.Lock()

    async def send(self, sequence: int, data: RuntimeData) -> None:
        async with self._turns:
            self._sent.append((sequence, data))
            try:
                await super().send(sequence, data)
            except StreamBroken:
                pass  # sent again with the rest, when the receiving side has noticed

    async def receive(self) -> Given | None:
        while True:
            try:
                return await super().receive()
            except StreamBroken:
                await self._replay()

    async def finish(self) -> None:
        async with self._turns:
            self._finished = True
            try:
                await super().finish()
            except StreamBroken:
                pass

    async def _replay(self) -> None:
        async with self._turns:
            self.endpoint = self.client.pick([self.endpoint])
            self.number += 1
            await self.open()
            for sequence, data in self._sent:
                await super().send(sequence, data)
            if self._finished:
                await super().finish()


class ReordersAnswers(BaseClient):
    """It hands answers to its caller as its workers finish with them, the later one of two first.

    New answers were put before those that the caller had not read yet: elixir-grpc/grpc#397.
    """

    def stream(self, endpoint: Endpoint, operation: SubjectOperation, number: int) -> Stream:
        return _Reordering(self, endpoint, operation, number)


class _Reordering(Stream):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._held: list[Given] = []

    async def receive(self) -> Given | None:
        if self._held:
            return self._held.pop()
        first = await super().receive()
        if first is None:
            return None
        second = await super().receive()
        if second is None:
            return first
        self._held.append(first)
        return second
