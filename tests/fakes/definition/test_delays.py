"""Times before answers: drawn from a seed, each call by itself, and the shortest time between messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from rpe.fakes.definition.problems import DefinitionInvalid
from tests.fakes.definition.spoken import Spoken

Define = Callable[..., Any]
UNIFORM = {"uniform_s": [1.0, 2.0]}


async def test_drawn_delays_are_waited_and_noted(define: Define) -> None:
    answer = {
        "messages": [{"message": {}}, {"message": {}, "delay": UNIFORM}],
        "delay": {"lognormal": {"median_s": 0.5, "sigma": 3.0, "max_s": 0.6}},
        "error": {"code": "ABORTED", "delay": UNIFORM},
    }
    speak = Spoken(define(ListItems=[{"answer": answer}]))
    began_s = speak.clock.now()
    said = await speak("ListItems")
    first, second, third = said.call.delays_s
    assert 0 < first <= 0.6 and 1 <= second <= 2 and 1 <= third <= 2 and second != third
    assert said.times_s == [round(first, 6), round(first + second, 6)]
    assert speak.clock.now() - began_s == pytest.approx(first + second + third)


async def test_the_draws_of_a_call_depend_on_the_seed_and_its_number_alone(define: Define) -> None:
    rules = [
        {"when": {"fields": {"id": "plain"}}, "answer": {"message": {}}},
        {"answer": {"message": {}, "delay": UNIFORM}},
    ]

    async def delays(seed: int, *ids: str) -> list[tuple[float, ...]]:
        speak = Spoken(define(GetItem=rules), seed)
        return [(await speak("GetItem", {"id": id_})).call.delays_s for id_ in ids]

    drawn = await delays(0, "a", "b", "c")
    assert len(set(drawn)) == 3
    assert await delays(0, "plain", "plain", "c") == [(), (), drawn[2]]
    assert (await delays(1, "a"))[0] != drawn[0]
    speak = Spoken(define(GetItem=rules))
    together = await asyncio.gather(*(speak("GetItem", {"id": id_}) for id_ in "abc"))
    assert len(together) == 3
    assert [call.delays_s for call in speak.journal.calls()] == drawn


async def test_a_drip_is_the_shortest_time_from_one_message_to_the_next(define: Define) -> None:
    messages = [{"message": {}}, {"message": {}}, {"message": {}, "delay_s": 5.0}, {"message": {}}]
    answer = {"messages": messages, "drip_s": 2.0, "delay_s": 1.0}
    said = await Spoken(define(ListItems=[{"answer": answer}]))("ListItems")
    assert said.times_s == [1.0, 3.0, 8.0, 10.0]


async def test_a_script_drips_and_pauses(define: Define) -> None:
    script = [
        {"send": {}},
        {"send": {}},
        {"pause": UNIFORM},
        {"send": {}},
        {"pause": {"fixed_s": 4.0}},
        {"send": {}},
    ]
    said = await Spoken(define(Chat=[{"answer": {"script": script, "drip_s": 0.5}}]))("Chat")
    drawn_s, fixed_s = said.call.delays_s
    assert fixed_s == 4.0
    assert said.times_s == pytest.approx([0.0, 0.5, 0.5 + drawn_s, 4.5 + drawn_s])


@pytest.mark.parametrize(
    ("answer", "place"),
    [
        ({"delay": {"uniform_s": [2.0, 1.0]}}, "delay: uniform_s must be [shortest, longest]"),
        ({"delay": {}}, "delay: give one of fixed_s, uniform_s and lognormal"),
        ({"delay": {"lognormal": {"median_s": 0.0}}}, "delay.lognormal.median_s: input should be greater"),
        ({"delay": 1}, "delay: write one of fixed_s"),
        ({"delay": UNIFORM, "delay_s": 1.0}, "answer: give delay_s or delay, not both"),
        ({"drip_s": -1.0}, "drip_s: input should be greater"),
    ],
)
def test_mistakes_are_told_at_once(define: Define, answer: Any, place: str) -> None:
    with pytest.raises(DefinitionInvalid) as caught:
        define(GetItem=[{"answer": {"message": {}, **answer}}])
    [problem] = caught.value.problems
    assert place in problem
