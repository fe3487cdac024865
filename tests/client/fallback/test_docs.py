"""What the page on fallback chains shows is so: its example runs, its diagram is the table's."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from rpe.client.fallback import ChainSettings
from rpe.fakes import FakeServer
from rpe.policy import chain_diagram

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "fallback.md").read_text(encoding="utf-8")

Shout = Callable[[str, list[str], list[str]], Awaitable[tuple[str, str]]]


def example() -> Shout:
    found = re.search(r"<!-- example: fallback -->\n```python\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    names: dict[str, Any] = {}
    exec(compile(found[1], "docs/fallback.md", "exec"), names)
    shout: Shout = names["shout"]
    return shout


async def test_the_example_answers_by_the_step_that_is_there() -> None:
    shout = example()
    async with FakeServer("a") as near, FakeServer("b", "http") as far:
        endpoints = [near.endpoint], [far.endpoint]
        assert await shout("hello", *endpoints) == ("primary", "HELLO")
        await near.stop()
        assert await shout("hello", *endpoints) == ("secondary", "HELLO")
        await far.stop()
        assert await shout("hello", *endpoints) == ("local", "HELLO")


def test_the_diagram_is_that_of_the_table() -> None:
    assert f"```mermaid\n{chain_diagram()}```" in PAGE


def test_the_defaults_are_those_of_the_settings() -> None:
    settings = ChainSettings()
    for told in (
        f"`failure_threshold` ({settings.failure_threshold})",
        f"`success_threshold` ({settings.success_threshold})",
        f"`min_stay_s` ({settings.min_stay_s:g} s)",
        f"`calm_s` ({settings.calm_s:g} s)",
        f"`max_stay_s` ({settings.max_stay_s:g} s)",
        f"`max_attempts`, {settings.max_attempts}",
    ):
        assert told in PAGE
