"""Named scenarios: rules that depend on what happened before, and lead on to what comes next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rpe.fakes.definition.problems import DefinitionInvalid
from rpe.fakes.definition.scenarios import Scenarios
from tests.fakes.definition.spoken import Spoken

Define = Callable[..., Any]


def in_state(state: str, then: Any, id_: str) -> dict[str, Any]:
    return {
        "when": {"scenario": {"name": "order", "state": state}},
        "answer": {"message": {"id": id_}},
        "then": then,
    }


ORDER = [
    in_state("started", {"scenario": "order", "state": "paid"}, "pay"),
    in_state("paid", {"scenario": "order", "state": "shipped"}, "ship"),
]


async def test_a_scenario_goes_from_state_to_state(define: Define) -> None:
    speak = Spoken(define(GetItem=ORDER))
    states = speak.journal.scenarios
    assert states.states() == {"order": "started"}
    assert (await speak("GetItem")).ids == ["pay"]
    assert states.states() == {"order": "paid"}
    assert (await speak("GetItem")).ids == ["ship"]
    said = await speak("GetItem")
    assert "the scenario order is in 'shipped', not in 'paid'" in said.status[1]
    states.set("order", "paid")
    assert (await speak("GetItem")).ids == ["ship"]


async def test_scenarios_are_shared_by_all_methods_and_forgotten_with_the_calls(define: Define) -> None:
    listing = [{"when": {"scenario": {"name": "order", "state": "paid"}}, "answer": {"messages": []}}]
    speak = Spoken(define(GetItem=ORDER, ListItems=listing))
    assert (await speak("ListItems")).status[0] == "UNIMPLEMENTED"
    await speak("GetItem")
    assert (await speak("ListItems")).status[0] == "OK"
    speak.journal.clear()
    assert speak.journal.scenarios.states() == {"order": "started"}


async def test_several_states_can_be_asked_for_and_led_to(define: Define) -> None:
    both = [{"name": "order", "state": "started"}, {"name": "stock", "state": "low"}]
    then = [{"scenario": "order", "state": "refused"}, {"scenario": "stock", "state": "gone"}]
    rules = [{"when": {"scenario": both}, "answer": {"message": {}}, "then": then}]
    speak = Spoken(define(GetItem=rules))
    assert (await speak("GetItem")).status[0] == "UNIMPLEMENTED"
    speak.journal.scenarios.set("stock", "low")
    assert (await speak("GetItem")).status[0] == "OK"
    assert speak.journal.scenarios.states() == {"order": "refused", "stock": "gone"}


async def test_a_rule_leads_on_whatever_its_answer_is(define: Define) -> None:
    rules = [{"answer": {"error": {"code": "ABORTED"}}, "then": {"scenario": "order", "state": "failed"}}]
    speak = Spoken(define(GetItem=rules))
    assert (await speak("GetItem")).status[0] == "ABORTED"
    assert speak.journal.scenarios.state("order") == "failed"


async def test_the_fake_keeps_states_and_its_reset_forgets_them(open_shop: Callable[..., Any]) -> None:
    async with open_shop(GetItem=ORDER) as (fake, call):
        assert [(await call.one("GetItem"))["id"] for _ in range(2)] == ["pay", "ship"]
        fake.reset()
        assert (await call.one("GetItem"))["id"] == "pay"


async def test_two_fakes_of_one_definition_have_states_of_their_own(define: Define) -> None:
    definitions = define(GetItem=ORDER)
    first, second = Spoken(definitions), Spoken(definitions)
    await first("GetItem")
    assert (await second("GetItem")).ids == ["pay"]


def test_scenarios_by_hand() -> None:
    states = Scenarios()
    states.know(["a"])
    states.set("b", "on")
    assert states.states() == {"a": "started", "b": "on"}
    assert "'b': 'on'" in repr(states)
    states.reset()
    assert (states.state("b"), states.states()) == ("started", {"a": "started"})


@pytest.mark.parametrize(
    ("rule", "place"),
    [
        ({"when": {"scenario": {"name": "order"}}}, "when.scenario[0].state: this is missing"),
        ({"when": {"scenario": {"name": "", "state": "x"}}}, "when.scenario[0].name: string should have"),
        ({"then": {"scenario": "order", "stat": "x"}}, "then[0].stat: this key is unknown"),
        ({"then": {"scenario": "order", "state": 1}}, "then[0].state: input should be a valid string"),
    ],
)
def test_mistakes_are_told_at_once(define: Define, rule: Any, place: str) -> None:
    with pytest.raises(DefinitionInvalid) as caught:
        define(GetItem=[{"answer": {"message": {}}} | rule])
    assert any(f"methods.GetItem[0].{place}" in problem for problem in caught.value.problems)
