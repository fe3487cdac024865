"""The page about definitions shows what works."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml

from rpe.fakes.definition import parse_definition
from rpe.fakes.definition.model import Answer, Condition, Step, When

PAGE = Path(__file__).resolve().parents[3] / "docs" / "fakes-any-proto.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)


async def test_the_definition_that_is_shown_answers_as_it_says(
    shop: Path, open_shop: Callable[..., Any]
) -> None:
    async with open_shop(parse_definition(BLOCKS[0], shop)) as (_, call):
        for _ in range(2):
            with pytest.raises(grpc.aio.AioRpcError, match="come again for 7"):
                await call.one("GetItem", {"id": "7"})
        shown = {"id": "7", "price_cents": "250", "tags": ["new"]}
        assert await call.one("GetItem", {"id": "7"}) == shown


async def test_the_script_that_is_shown_is_played(open_shop: Callable[..., Any]) -> None:
    async with open_shop(Chat=[yaml.safe_load(BLOCKS[1])]) as (fake, call):
        stream = call("Chat", [{"id": "hello you"}, {"id": "more"}])
        assert (await stream.read()).id == "welcome"
        assert (await stream.read()).id == "hello you to you"
        assert await stream.code() is grpc.StatusCode.ABORTED
        assert len(fake.calls()[0].requests) == 2


@pytest.mark.parametrize("model", [When, Answer, Condition, Step])
def test_every_key_is_told_of(model: Any) -> None:
    for key in model.model_fields:
        assert f"`{key}`" in TEXT or f"`{key}: " in TEXT or f"- {key}: " in TEXT, key
