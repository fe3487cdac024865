"""Several fakes of one wire behind one client, and sessions with them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

import rpe
from rpe.client import ClientSettings, StreamSession
from rpe.data import RuntimeData, Text
from rpe.fakes import FakeServer, Kind
from rpe.fakes.nodes import BUILT_IN
from rpe.policy.backoff import BackoffSettings
from rpe.policy.health import HealthSettings
from rpe.policy.retry import RetrySettings
from rpe.transport.ports import ChunkResult
from tests.support.scripted import Recorder

__all__ = ["NODES", "SETTINGS", "Fleet", "echoes", "hear", "read", "rest", "talk"]

SETTINGS = ClientSettings(
    repeatable=True,
    stream_timeout_s=30.0,
    open_timeout_s=5.0,
    health=HealthSettings(enabled=False),
    retry=RetrySettings(backoff=BackoffSettings(initial_s=0.05)),
)


def letters(data: Any, call: Any) -> list[Text]:
    return [Text(letter) for letter in data.text]


def fragile(data: Any, call: Any) -> Text:
    if data.text == "poison":
        raise call.failed("it is poison")
    return Text(data.text)


NODES = {**BUILT_IN, "Letters": letters, "Fragile": fragile}


class Fleet:
    """Fakes of one wire by their endpoints, a client of them all, and what it recorded."""

    def __init__(self, wire: str, stack: AsyncExitStack) -> None:
        self.wire = wire
        self.fakes: dict[str, FakeServer] = {}
        self.recorder = Recorder()
        self._stack = stack

    async def start(self, *behaviours: Mapping[str, Any]) -> None:
        for number, behaviour in enumerate(behaviours):
            fake = FakeServer("abc"[number], self.wire, behaviour, nodes=NODES)
            await self._stack.enter_async_context(fake)
            self.fakes[fake.endpoint] = fake

    async def connect(self, settings: ClientSettings = SETTINGS, **config: Any) -> rpe.ReliableClient:
        client = rpe.connect(
            list(self.fakes),
            transport=self.wire,
            settings=settings,
            observers=[self.recorder],
            seed=1,
            **config,
        )
        return await self._stack.enter_async_context(client)

    def at(self, session: StreamSession) -> FakeServer:
        return self.fakes[session.endpoint]

    def chunks(self, fake: FakeServer) -> list[int]:
        """The numbers of the chunks that a fake has got."""
        return [entry.sequence for entry in fake.journal.entries(Kind.CHUNK) if entry.sequence is not None]


def read(results: Sequence[ChunkResult]) -> list[tuple[int, RuntimeData]]:
    return [(result.sequence, result.output) for result in results]


async def hear(session: StreamSession, count: int) -> list[tuple[int, RuntimeData]]:
    heard = []
    for _ in range(count):
        result = await session.receive()
        assert result is not None
        heard.append(result)
    return read(heard)


async def rest(session: StreamSession) -> list[tuple[int, RuntimeData]]:
    await session.finish()
    return read([result async for result in session])


async def talk(session: StreamSession, texts: Sequence[str]) -> list[tuple[int, RuntimeData]]:
    """Send texts and hear all results at the same time."""
    async with asyncio.TaskGroup() as tasks:
        hearing = tasks.create_task(_hear_all(session))
        for text in texts:
            await session.send(Text(text))
        await session.finish()
    return hearing.result()


async def _hear_all(session: StreamSession) -> list[tuple[int, RuntimeData]]:
    return read([result async for result in session])


def echoes(texts: Sequence[str], first: int = 0) -> list[tuple[int, RuntimeData]]:
    return [(number, Text(text)) for number, text in enumerate(texts, first)]
