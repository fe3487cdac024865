"""A handler of sessions that says what a test tells it to say, and plain words for what it is asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from rpe.data import RuntimeData, Text
from rpe.transport.serving import Damage, ServerSession
from tests.support.handlers import Handler
from tests.support.http_caller import Caller

__all__ = ["Scripted", "close", "one", "said"]


class Scripted(Handler):
    """Says what a test tells it to say, once it has been told to go on."""

    def __init__(self, *results: tuple[int, Mapping[str, RuntimeData], Damage | None]) -> None:
        super().__init__()
        self.results = list(results)
        self.go = asyncio.Event()
        self.session_id = "s-1"

    async def talk(self, session: ServerSession) -> None:
        await session.ready(self.session_id)
        await self.go.wait()
        for sequence, outputs, damage in self.results:
            await session.send(sequence, outputs, damage=damage)
        if isinstance(self.reply, BaseException):
            raise self.reply
        while await session.receive() is not None:
            pass
        await session.closed()


def one(
    said: str, damage: Damage | None = None, sequence: int = 0
) -> tuple[int, dict[str, RuntimeData], Any]:
    return sequence, {"output": Text(said)}, damage


def said(event: Mapping[str, str]) -> str:
    return str(json.loads(event["data"])["data"]["Text"])


async def close(caller: Caller, key: str, **headers: str) -> int:
    return (await caller.ask("DELETE", f"/stream/{key}", **headers))[0]
