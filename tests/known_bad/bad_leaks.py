"""Clients that leave something behind."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from rpe.chaos.subject import SubjectContext, SubjectOperation
from rpe.data import RuntimeData
from tests.known_bad.base import BaseClient
from tests.known_bad.pool import Endpoint
from tests.known_bad.wire import Wire

__all__ = ["CloseFails", "InFlightNeverReturns", "LeaksSockets", "LeaksTasks"]


class LeaksTasks(BaseClient):
    """It starts a watchdog for each call, and nobody ends it.

    Each request left a task behind, until the memory was full: ai-dynamo/dynamo#10082,
    pnbruckner/ha-life360#101.
    """

    def __init__(self, context: SubjectContext) -> None:
        super().__init__(context)
        self._watchdogs: list[asyncio.Task[None]] = []

    async def execute(self, operation: SubjectOperation) -> Mapping[str, RuntimeData]:
        self._watchdogs.append(asyncio.create_task(asyncio.sleep(3600)))
        return await super().execute(operation)


class LeaksSockets(BaseClient):
    """For a retry it makes a fresh connection, and forgets the old one open.

    Each reconnect opened a socket and forgot the one before: kaeawc/auto-mobile#5045, grpc/grpc#18365.
    """

    def __init__(self, context: SubjectContext) -> None:
        super().__init__(context)
        self._forgotten: list[Wire] = []

    async def call(
        self, endpoint: Endpoint, operation: SubjectOperation, number: int, limit_s: float | None
    ) -> Mapping[str, RuntimeData]:
        if number > 1:
            self._forgotten.append(endpoint.wire)
            endpoint.wire = Wire(endpoint.address)
        return await super().call(endpoint, operation, number, limit_s)


class InFlightNeverReturns(BaseClient):
    """It counts calls down on success only, so each error leaves its endpoint looking busier.

    Counts that go down on success only make a server that had a bad minute look busy for ever:
    skypilot-org/skypilot#10444.
    """

    def settle(
        self, endpoint: Endpoint, op: str, number: int, probe: bool, error: BaseException | None
    ) -> None:
        super().settle(endpoint, op, number, probe, error)
        if error is not None:
            endpoint.in_flight += 1


class CloseFails(BaseClient):
    """Closing it raises where a connection has been lost before.

    Closing raised because the other side had closed first, and what stood behind it was not closed:
    SAP-archive/PyHDB#135, future-architect/uroborosql#307.
    """

    async def close(self) -> None:
        lost = any(endpoint.breaker.opened for endpoint in self.endpoints)
        await super().close()
        if lost:
            raise RuntimeError("a connection was closed twice")
