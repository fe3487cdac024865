"""Answers by the place of a message in its stream, and by how many messages there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rpe.fakes.definition.problems import DefinitionInvalid
from tests.fakes.definition.spoken import Spoken

Define = Callable[..., Any]
SAID = tuple({"id": id_} for id_ in ("a", "hello", "b", "hello"))


def item(id_: str, **more: Any) -> dict[str, Any]:
    return {"message": {"id": id_}, **more}


async def test_each_request_is_answered_by_all_that_fit_it(define: Define) -> None:
    each = [
        item("first", when={"message": 1}),
        item("${request.id}", delay_s=0.5),
        item("hi", when={"fields": {"id": "hello"}}),
        item("late", when={"message": [3, 4], "fields": {"id": {"regex": "^h"}}}),
    ]
    said = await Spoken(define(Chat=[{"answer": {"each": each}}]))("Chat", *SAID)
    assert said.ids == ["first", "a", "hello", "hi", "b", "hello", "hi", "late"]
    assert said.times_s == [0.0, 0.5, 1.0, 1.0, 1.5, 2.0, 2.0, 2.0]


async def test_the_number_of_a_message_counts_the_one_that_chose_the_rule(define: Define) -> None:
    each = [item("first", when={"message": 1}), item("second", when={"message": 2})]
    rules = [{"when": {"fields": {"id": "a"}}, "answer": {"each": each}}]
    assert (await Spoken(define(Chat=rules))("Chat", *SAID)).ids == ["first", "second"]


async def test_the_first_rule_that_fits_a_request_answers_it(define: Define) -> None:
    each_rules = [
        {"when": {"message": 1}, "answer": {"message": {"id": "welcome ${request.id}"}}},
        {
            "when": {"fields": {"id": "hello"}, "scenario": {"name": "greeted", "state": "started"}},
            "answer": {"messages": [item("hi"), item("there", delay_s=1.0)]},
            "then": {"scenario": "greeted", "state": "yes"},
        },
        {
            "when": {"fields": {"id": "hello"}},
            "answer": {
                "messages": [item("again?")],
                "error": {"code": "ABORTED", "message": "${request.id}"},
            },
        },
        {"answer": {"messages": []}},
    ]
    said = await Spoken(define(Chat=[{"answer": {"each_rules": each_rules}}]))("Chat", *SAID, {"id": "x"})
    assert said.ids == ["welcome a", "hi", "there", "again?"]
    assert said.status == ("ABORTED", "hello")
    assert len(said.call.requests) == 4


async def test_a_request_that_no_rule_fits_ends_the_call_and_tells_why(define: Define) -> None:
    def never(request: Any, call: Any) -> bool:
        return False

    each_rules = [
        {"when": {"message": [1, 3]}, "answer": {"message": {}}},
        {"when": {"fields": {"id": "b"}}, "answer": {"message": {}}},
        {"when": {"predicate": never}, "answer": {"message": {}}},
    ]
    said = await Spoken(define(Chat=[{"answer": {"each_rules": each_rules}}]))("Chat", *SAID)
    assert said.status == (
        "UNIMPLEMENTED",
        "rpe fake: no rule of each_rules fits message 2; "
        "rule 0: it is for message 1, 3, and this is message 2; "
        "rule 1: id is not 'b'; rule 2: never says no",
    )


async def test_each_rules_may_end_with_an_error_once_the_caller_has_ended(define: Define) -> None:
    answer = {"each_rules": [{"answer": {"message": {}}}], "error": {"code": "DATA_LOSS"}}
    said = await Spoken(define(Chat=[{"answer": answer}]))("Chat", {}, {})
    assert (len(said.answers), said.status[0]) == (2, "DATA_LOSS")


async def test_how_many_messages_a_client_stream_has(define: Define) -> None:
    rules = [
        {"when": {"messages": [2, 3]}, "answer": {"message": {"number": 2}}},
        {"when": {"messages": 1, "fields": {"id": "a"}}, "answer": {"message": {"number": 1}}},
    ]
    speak = Spoken(define(AddItems=rules))
    for count, number in ((1, 1), (2, 2), (3, 2)):
        assert (await speak("AddItems", *SAID[:count])).answers == [{"number": number}]
    assert "it is for 2, 3 messages, and 4 came" in (await speak("AddItems", *SAID)).status[1]


@pytest.mark.parametrize(
    ("method", "answer", "path", "told"),
    [
        ("Chat", {"each": [item("a", when={"fields": {"x": 1}})]}, "each[0].when.fields.x", "has no field"),
        ("Chat", {"each": [item("a", when={"message": 0})]}, "each[0].when.message[0]", "greater than"),
        ("Chat", {"each": [item("a", when={"call": 1})]}, "each[0].when.call", "unknown"),
        ("Chat", {"each": [item("a", when={"predicate": "gone:f"})]}, "each[0].when.predicate", "imported"),
        (
            "Chat",
            {"each_rules": [{"answer": {"message": {"x": 1}}}]},
            "each_rules[0].answer.message.x",
            "field",
        ),
        ("Chat", {"each_rules": [{"answer": {}}]}, "each_rules[0].answer", "one of message, messages, error"),
        (
            "Chat",
            {"each_rules": [{"answer": {"messages": [item("a", when={})]}}]},
            "each_rules[0].answer",
            "when goes with the rule",
        ),
        (
            "ListItems",
            {"messages": [item("a", when={"message": 1})]},
            "",
            "when goes with the messages of each",
        ),
        (
            "ListItems",
            {"each_rules": [{"answer": {"message": {}}}]},
            "each_rules",
            "message, messages or call",
        ),
        (
            "Chat",
            {"each": [item("a")], "each_rules": [{"answer": {"message": {}}}]},
            "",
            "each, each_rules is",
        ),
    ],
)
def test_mistakes_are_told_at_once(define: Define, method: str, answer: Any, path: str, told: str) -> None:
    with pytest.raises(DefinitionInvalid) as caught:
        define(**{method: [{"answer": answer}]})
    [problem] = caught.value.problems
    assert f"methods.{method}[0].answer{f'.{path}' if path else ''}: " in problem and told in problem


def test_the_count_of_messages_is_for_client_streams(define: Define) -> None:
    with pytest.raises(DefinitionInvalid, match=r"when\.messages: messages is for client streams"):
        define(GetItem=[{"when": {"messages": 1}, "answer": {"message": {}}}])
