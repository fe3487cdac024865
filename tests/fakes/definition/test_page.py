"""The page about definitions shows what works."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml

from rpe.fakes.definition import parse_definition
from rpe.fakes.definition.conditions import Condition, EachWhen, When
from rpe.fakes.definition.model import (
    Answer,
    EachAnswer,
    EachRule,
    Failure,
    Repeat,
    Rule,
    Step,
    Streamed,
)
from tests.fakes.definition.spoken import Spoken

PAGE = Path(__file__).resolve().parents[3] / "docs" / "fakes-any-proto.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
MODULE = re.search(r"```python\n(# shop_handlers\.py\n.*?)```", TEXT, re.DOTALL)

Define = Callable[..., Any]


def shown(about: str) -> Any:
    """The rules of the one example that has these words."""
    [block] = [block for block in BLOCKS if about in block]
    return yaml.safe_load(block)


async def test_the_definition_that_is_shown_answers_as_it_says(
    shop: Path, open_shop: Callable[..., Any]
) -> None:
    async with open_shop(parse_definition(BLOCKS[0], shop)) as (_, call):
        for _ in range(2):
            with pytest.raises(grpc.aio.AioRpcError, match="come again for 7"):
                await call.one("GetItem", {"id": "7"})
        shown = {"id": "7", "price_cents": "250", "tags": ["new"]}
        assert await call.one("GetItem", {"id": "7"}) == shown


async def test_the_delays_that_are_shown(define: Define) -> None:
    said = await Spoken(define(ListItems=shown("lognormal")))("ListItems")
    first, second = said.call.delays_s
    assert said.times_s == [round(first, 6), round(first + second, 6)]
    assert 0 < first <= 1 and 0.01 <= second <= 0.02


async def test_the_error_that_is_shown(define: Define) -> None:
    said = await Spoken(define(GetItem=shown("RetryInfo")))("GetItem", {"id": "7"})
    assert said.status == ("RESOURCE_EXHAUSTED", "no more of 7 today")
    assert said.ended is not None
    assert [part.type_url.rpartition("/")[2] for part in said.ended.parts] == [
        "google.rpc.RetryInfo",
        "google.rpc.ErrorInfo",
        "example.Other",
    ]
    assert said.trailing == (("grpc-retry-pushback-ms", "2000"),)


async def test_the_answers_to_each_request_that_are_shown(define: Define) -> None:
    speak = Spoken(define(Chat=shown("each_rules")))
    assert (await speak("Chat", {"id": "each"}, {"id": "b"})).ids == ["welcome", "each", "b"]
    said = await speak("Chat", {"id": "hello"}, {"id": "x"}, {"id": "y"})
    assert (said.ids, said.status[0]) == (["hi", "there"], "UNAVAILABLE")


async def test_the_script_that_is_shown_is_played(define: Define) -> None:
    speak = Spoken(define(Chat=shown("- abort:")))
    said = await speak("Chat", *({"id": id_} for id_ in ("hello you", "more", "go", "a", "b", "c")))
    assert said.ids == ["welcome", "hello you to you", "a!", "b!"]
    assert said.times_s[1] >= 0.2
    assert (said.status, len(said.call.requests)) == (("ABORTED", "enough"), 6)


async def test_the_scenario_that_is_shown(define: Define) -> None:
    speak = Spoken(define(GetItem=shown("state: shipped")))
    assert [(await speak("GetItem")).ids for _ in range(2)] == [["please pay"], ["it is on its way"]]
    assert speak.journal.scenarios.states() == {"order": "shipped"}


async def test_the_functions_that_are_shown(
    define: Define, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MODULE is not None
    (tmp_path / "shop_handlers.py").write_text(MODULE[1], encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    rules = shown("shop_handlers:is_long")
    speak = Spoken(define(GetItem=rules, Chat=[{"answer": {"call": "shop_handlers:chat"}}]))
    assert (await speak("GetItem", {"id": "a very long name"})).ids == ["long"]
    said = await speak("GetItem", {"id": "a"})
    assert said.status == ("UNAUTHENTICATED", "who are you?")
    assert said.ended is not None and b"NO_TENANT" in (said.ended.details or b"")
    for seen in ("started", "seen"):
        said = await speak("GetItem", {"id": "a"}, metadata=[("tenant", "t")])
        assert said.answers == [{"id": "a", "tags": [seen]}]
    assert (await speak("Chat", {"id": "a"})).ids == ["welcome", "A"]
    del sys.modules["shop_handlers"]


def test_no_example_is_left_out() -> None:
    assert len(BLOCKS) == 7


@pytest.mark.parametrize(
    "model",
    [When, EachWhen, Answer, EachAnswer, EachRule, Condition, Failure, Repeat, Rule, Step, Streamed],
)
def test_every_key_is_told_of(model: Any) -> None:
    for key in model.model_fields:
        assert re.search(rf"`\{{?[^`]*\b{key}\b[^`]*`|^\W*{key}:", TEXT, re.MULTILINE), key
