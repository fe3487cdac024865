"""What the tests of moving sessions say, and how they listen."""

from __future__ import annotations

from rpe.client import ClientSettings, MovingSession
from rpe.data import Text
from rpe.policy.breaker import BreakerSettings
from rpe.policy.budget import BudgetSettings
from rpe.policy.health import HealthSettings
from tests.support.roads import settle

__all__ = ["QUIET", "hear", "rest", "say", "silent"]

QUIET = ClientSettings(
    health=HealthSettings(enabled=False),
    breaker=BreakerSettings(enabled=False),
    budget=BudgetSettings(min_per_s=100.0),
)


async def say(session: MovingSession, *said: str) -> None:
    for text in said:
        await session.send(Text(text))
    await settle()


async def hear(session: MovingSession, count: int) -> list[tuple[int, str]]:
    heard = []
    for _ in range(count):
        result = await session.receive()
        assert result is not None
        assert isinstance(result.output, Text)
        heard.append((result.sequence, result.output.text))
    return heard


async def rest(session: MovingSession) -> list[tuple[int, str]]:
    await session.finish()
    heard = []
    while (result := await session.receive()) is not None:
        assert isinstance(result.output, Text)
        heard.append((result.sequence, result.output.text))
    return heard


def silent(sequence: int, text: str) -> list[tuple[int, str]]:
    return []
