"""Clients that are careless with sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rpe.chaos.subject import SubjectOperation
from rpe.data import RuntimeData
from rpe.errors import RpeError, StreamBroken
from tests.known_bad.base import BaseClient
from tests.known_bad.moving import MovingStream
from tests.known_bad.pool import Endpoint
from tests.known_bad.stream import Given, Stream

__all__ = ["MovesWithoutReplay", "ReordersAnswers", "ReplaysSessions", "SwallowsCuts"]


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


class _Replaying(MovingStream):
    def new(self, sequence: int) -> bool:
        return True


class MovesWithoutReplay(BaseClient):
    """It takes a broken session to another server, and goes on from there: what was on its way, and what
    was said meanwhile, is lost.

    What had been said while a connection was replaced never reached the next one, and nobody was told:
    openclaw/openclaw#45952, strands-agents/harness-sdk#4500.
    """

    def stream(self, endpoint: Endpoint, operation: SubjectOperation, number: int) -> Stream:
        return _Forgetful(self, endpoint, operation, number)

    def pause_s(self, tried: Sequence[Endpoint], error: RpeError) -> float:
        return self.retry.initial_backoff_s


class _Forgetful(MovingStream):
    async def send(self, sequence: int, data: RuntimeData) -> None:
        if not self.moving:
            await super().send(sequence, data)

    def missing(self) -> Mapping[int, RuntimeData]:
        return {}


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
