"""Functions in Python: predicates that choose rules, and answers; named, or as they are."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from rpe.fakes.definition import parse_definition
from rpe.fakes.definition.details import Status
from rpe.fakes.definition.functions import CallInfo, FunctionFinder, FunctionWrong
from rpe.fakes.definition.problems import DefinitionInvalid
from tests.fakes.definition.spoken import Spoken

Define = Callable[..., Any]
SECRET = "secret-token"

HANDLERS = """
seen = []


def is_long(request, call):
    return len(request.id) > 3


def answer(request, call):
    seen.append(request.id)
    return {"id": f"{request.id} of {call.number}"}


class Shop:
    @staticmethod
    def closed(request, call):
        raise RuntimeError(request.id)


def seen_so_far(request, call):
    return {"tags": seen}


rules = {}
"""


def answering(function: Any, **more: Any) -> list[dict[str, Any]]:
    return [{"answer": {"call": function, **more}}]


async def test_a_predicate_sees_the_request_and_the_call(define: Define) -> None:
    def friend(request: Any, call: CallInfo) -> bool:
        return request.count > 2 and call.value("who") == "me" and call.number < 3

    rules = [{"when": {"predicate": friend}, "answer": {"message": {"id": "friend"}}}]
    speak = Spoken(define(GetItem=rules))
    assert (await speak("GetItem", {"count": 3}, metadata=[("who", "me")])).ids == ["friend"]
    said = await speak("GetItem", {"count": 3}, metadata=[("who", SECRET)])
    assert said.status[0] == "UNIMPLEMENTED"
    assert said.status[1].endswith("fits this call; rule 0: friend says no")
    assert (await speak("GetItem", {"count": 3}, metadata=[("who", "me")])).status[0] == "UNIMPLEMENTED"


async def test_a_predicate_gets_all_of_a_client_stream_and_the_first_of_a_chat(
    define: Define,
) -> None:
    def three(requests: Any, call: CallInfo) -> bool:
        return [request.id for request in requests] == ["a", "b", "c"]

    def hello(request: Any, call: CallInfo) -> bool:
        return bool(request.id == "hello")

    greeting = {"each": [{"message": {"id": "${request.id}"}}]}
    speak = Spoken(
        define(
            AddItems=[{"when": {"predicate": three}, "answer": {"message": {"number": 3}}}],
            Chat=[{"when": {"predicate": hello}, "answer": greeting}],
        )
    )
    assert (await speak("AddItems", {"id": "a"}, {"id": "b"}, {"id": "c"})).answers == [{"number": 3}]
    assert (await speak("AddItems", {"id": "a"})).status[0] == "UNIMPLEMENTED"
    assert (await speak("AddItems")).status[0] == "UNIMPLEMENTED"
    assert (await speak("Chat", {"id": "hello"}, {"id": "x"})).ids == ["hello", "x"]
    assert (await speak("Chat")).status[1].endswith("rule 0: no request came")


async def test_what_a_predicate_raises_ends_the_call_and_tells_no_secret(define: Define) -> None:
    def broken(request: Any, call: CallInfo) -> bool:
        raise KeyError(request.id)

    speak = Spoken(define(GetItem=[{"when": {"predicate": broken}, "answer": {"message": {}}}]))
    said = await speak("GetItem", {"id": SECRET})
    assert said.status[0] == "INTERNAL" and said.status[1].endswith("broken raised KeyError")
    assert SECRET not in said.status[1] + repr(said.call)
    assert isinstance(said.call.error, KeyError)


async def test_a_function_answers_one_request(define: Define) -> None:
    def plain(request: Any, call: CallInfo) -> Any:
        return {"id": f"{request.id}-{call.number}-{call.method}"}

    async def waiting(request: Any, call: CallInfo) -> Any:
        await asyncio.sleep(0)
        return {"id": "waited"}

    speak = Spoken(define(GetItem=[{"answer": {"sequence": [{"call": plain}, {"call": waiting}]}}]))
    assert [(await speak("GetItem", {"id": "a"})).ids for _ in range(2)] == [["a-1-GetItem"], ["waited"]]


async def test_a_function_answers_with_a_message_of_the_contract_or_of_other_code(define: Define) -> None:
    def same(request: Any, call: CallInfo) -> Any:
        return request.like

    definitions, others = define(GetItem=answering(same)), define()
    other = others.services["shop.v1.Shop"].methods["GetItem"].response
    assert (await Spoken(definitions)("GetItem", {"like": {"id": "x"}})).ids == ["x"]
    speak = Spoken(define(GetItem=answering(lambda request, call: other(id="other"))))
    assert (await speak("GetItem")).ids == ["other"]


async def test_a_function_answers_a_client_stream(define: Define) -> None:
    def count(requests: Any, call: CallInfo) -> Any:
        return {"number": len(requests), "last_id": requests[-1].id if requests else ""}

    speak = Spoken(define(AddItems=answering(count)))
    assert (await speak("AddItems", {"id": "a"}, {"id": "b"})).answers == [{"number": 2, "last_id": "b"}]
    assert (await speak("AddItems")).answers == [{}]


async def ticking(request: Any, call: CallInfo) -> AsyncIterator[Any]:
    for at in range(request.count):
        await asyncio.sleep(0)
        yield {"id": str(at)}


def ticking_now(request: Any, call: CallInfo) -> Iterator[Any]:
    for at in range(request.count):
        yield {"id": str(at)}


async def listed(request: Any, call: CallInfo) -> Any:
    return [{"id": str(at)} for at in range(request.count)]


@pytest.mark.parametrize("function", [ticking, ticking_now, listed])
async def test_a_function_answers_with_a_stream(define: Define, function: Any) -> None:
    speak = Spoken(define(ListItems=answering(function, drip_s=0.5)))
    said = await speak("ListItems", {"count": 3})
    assert (said.ids, said.times_s) == (["0", "1", "2"], [0.0, 0.5, 1.0])
    assert (await speak("ListItems")).answers == []


async def chatting(requests: Any, call: CallInfo) -> AsyncIterator[Any]:
    yield {"id": "welcome"}
    async for request in requests:
        if request.id == "bye":
            raise Status("aborted", "enough", metadata={"left": "1"})
        yield {"id": request.id.upper()}


async def only_listening(requests: Any, call: CallInfo) -> None:
    async for _ in requests:
        pass


async def test_a_function_holds_a_conversation(define: Define) -> None:
    speak = Spoken(
        define(Chat=[{"when": {"call": 3}, "answer": {"call": only_listening}}, *answering(chatting)])
    )
    said = await speak("Chat", {"id": "a"}, {"id": "b"})
    assert (said.ids, said.status[0]) == (["welcome", "A", "B"], "OK")
    said = await speak("Chat", {"id": "a"}, {"id": "bye"}, {"id": "c"})
    assert (said.ids, said.status, said.trailing) == (
        ["welcome", "A"],
        ("ABORTED", "enough"),
        (("left", "1"),),
    )
    said = await speak("Chat", {"id": "a"}, {"id": "b"})
    assert (said.answers, len(said.call.requests)) == ([], 2)


async def test_a_generator_is_closed_where_the_caller_goes(define: Define) -> None:
    closed = []

    async def endless(requests: Any, call: CallInfo) -> AsyncIterator[Any]:
        try:
            while True:
                yield {"id": "1"}
                await asyncio.sleep(0)
        finally:
            closed.append(call.number)

    speak = Spoken(define(ListItems=answering(endless)))
    running = asyncio.create_task(speak("ListItems"))
    for _ in range(5):
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert closed == [1]
    assert speak.journal.calls()[0].code == "CANCELLED"


async def test_a_generator_is_closed_where_its_answer_is_none(define: Define) -> None:
    closed = []

    async def odd(request: Any, call: CallInfo) -> AsyncIterator[Any]:
        try:
            yield {"id": "1"}
            yield 7
        finally:
            closed.append(call.number)

    said = await Spoken(define(ListItems=answering(odd)))("ListItems")
    assert (said.ids, said.status[0], closed) == (["1"], "INTERNAL", [1])


async def test_what_a_function_changes_later_does_not_change_the_journal(define: Define) -> None:
    async def changing(requests: Any, call: CallInfo) -> AsyncIterator[Any]:
        async for request in requests:
            item = request.like
            for id_ in "ab":
                item.id = id_
                yield item
            request.id = "changed"

    def changing_one(request: Any, call: CallInfo) -> Any:
        request.id = "changed"
        return request.like

    speak = Spoken(define(Chat=answering(changing), GetItem=answering(changing_one)))
    said = await speak("Chat", {"id": "x", "like": {"id": "y"}})
    assert (said.ids, said.call.requests) == (["a", "b"], [{"id": "x", "like": {"id": "y"}}])
    assert (await speak("GetItem", {"id": "x"})).call.requests == [{"id": "x"}]


async def test_a_function_holds_a_conversation_over_grpc_until_the_caller_goes(
    open_shop: Callable[..., Any],
) -> None:
    left = asyncio.Event()

    async def chat(requests: Any, call: CallInfo) -> AsyncIterator[Any]:
        try:
            async for request in requests:
                yield {"id": request.id.upper()}
        finally:
            left.set()

    async with open_shop(Chat=answering(chat)) as (fake, call):
        stream = call("Chat")
        for id_ in "ab":
            await stream.write(call.message("Chat", {"id": id_}))
            assert (await stream.read()).id == id_.upper()
        stream.cancel()
        [noted] = await fake.wait_for_calls(1)
        await left.wait()
        assert noted.answers == [{"id": "A"}, {"id": "B"}]


async def test_an_answer_without_what_it_must_have_is_none(tmp_path: Path) -> None:
    files = FileDescriptorSet()
    file = files.file.add(name="old.proto", package="old", syntax="proto2")
    file.message_type.add(name="Word").field.add(name="text", number=1, type=9, label=2)  # required
    file.message_type.add(name="Ask")
    file.service.add(name="Old").method.add(name="Get", input_type=".old.Ask", output_type=".old.Word")
    (tmp_path / "old.binpb").write_bytes(files.SerializeToString())
    methods = {"Get": answering(lambda request, call: {})}
    data = {"descriptors": {"set": "old.binpb"}, "service": "old.Old", "methods": methods}
    said = await Spoken(parse_definition(data, tmp_path))("Get")
    assert said.status[0] == "INTERNAL" and "old.Word without a field" in said.status[1]


async def test_what_a_function_draws_is_not_what_its_delay_was_drawn_from(define: Define) -> None:
    def draw(request: Any, call: CallInfo) -> Any:
        return {"weight": call.random.random()}

    said = await Spoken(define(GetItem=answering(draw, delay={"uniform_s": [0.0, 1.0]})))("GetItem")
    assert said.answers[0]["weight"] != said.call.delays_s[0]


async def test_functions_share_the_scenarios_and_have_chance_of_their_own(define: Define) -> None:
    def count(request: Any, call: CallInfo) -> Any:
        seen = int(call.scenarios.states().get("seen", "0")) + 1
        call.scenarios.set("seen", str(seen))
        return {"id": f"{seen}/{call.random.random()}"}

    texts = []
    for seed in (1, 1, 2):
        speak = Spoken(define(GetItem=answering(count)), seed)
        texts.append([(await speak("GetItem")).ids[0] for _ in range(2)])
    assert texts[0] == texts[1] != texts[2]
    assert [text.partition("/")[0] for text in texts[0]] == ["1", "2"]
    assert texts[0][0].partition("/")[2] != texts[0][1].partition("/")[2]


def wrong_type(request: Any, call: CallInfo) -> Any:
    return 7


def wrong_field(request: Any, call: CallInfo) -> Any:
    return {"nme": request.id}


def wrong_message(request: Any, call: CallInfo) -> Any:
    return request


def wrong_detail(request: Any, call: CallInfo) -> Any:
    raise Status("ABORTED", details=[{"@type": "gone.Type"}])


def broken(request: Any, call: CallInfo) -> Any:
    raise ValueError(request.id)


async def broken_later(request: Any, call: CallInfo) -> AsyncIterator[Any]:
    yield {"id": "1"}
    raise ValueError(request.id)


@pytest.mark.parametrize(
    ("method", "function", "told"),
    [
        ("GetItem", wrong_type, "wrong_type returned a int, and the method answers with a shop.v1.Item"),
        ("GetItem", wrong_field, 'has no field named "nme"'),
        ("GetItem", wrong_message, "returned a shop.v1.ItemRequest"),
        ("GetItem", wrong_detail, "gone.Type"),
        ("GetItem", broken, "the function broken raised ValueError"),
        ("ListItems", broken, "the function broken raised ValueError"),
        ("ListItems", broken_later, "the function broken_later raised ValueError"),
        ("ListItems", wrong_type, "a stream is yielded, or a list"),
        ("ListItems", wrong_field, "returned a dict; a stream"),
        ("ListItems", lambda request, call: [7], "returned a int"),
    ],
)
async def test_what_is_no_answer_ends_the_call_with_internal(
    define: Define, method: str, function: Any, told: str
) -> None:
    said = await Spoken(define(**{method: answering(function)}))(method, {"id": SECRET})
    assert said.status[0] == "INTERNAL" and told in said.status[1]
    assert SECRET not in said.status[1]
    assert said.call.error is not None


async def test_functions_are_found_by_name(
    define: Define, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rpe_test_handlers.py").write_text(HANDLERS, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    rules = [
        {"when": {"predicate": "rpe_test_handlers:is_long"}, "answer": {"call": "rpe_test_handlers:answer"}},
        {"when": {"fields": {"id": "x"}}, "answer": {"call": "rpe_test_handlers:Shop.closed"}},
        {"answer": {"call": "rpe_test_handlers:seen_so_far"}},
    ]
    speak = Spoken(define(GetItem=rules))
    assert (await speak("GetItem", {"id": "long"})).ids == ["long of 1"]
    assert (
        "rpe_test_handlers:Shop.closed raised RuntimeError" in (await speak("GetItem", {"id": "x"})).status[1]
    )
    assert (await speak("GetItem", {"id": "y"})).answers == [{"tags": ["long"]}]
    del sys.modules["rpe_test_handlers"]


def test_a_file_beside_the_definition_is_run_once_for_each_time_that_it_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "rpe_test_beside.py").write_text(HANDLERS, encoding="utf-8")
    finder = FunctionFinder(tmp_path)
    found: list[Any] = [finder.find(f"rpe_test_beside:{name}").function for name in ("answer", "seen_so_far")]
    assert found[0].__globals__ is found[1].__globals__
    edited = HANDLERS.replace("{request.id} of", "{request.ID} of")  # as long as before
    (tmp_path / "rpe_test_beside.py").write_text(edited, encoding="utf-8")
    again: Any = FunctionFinder(tmp_path).find("rpe_test_beside:answer").function
    assert "ID" in again.__code__.co_names
    with pytest.raises(FunctionWrong, match="No module named 'rpe_test_beside'"):
        FunctionFinder().find("rpe_test_beside:answer")


async def no_use(request: Any, call: CallInfo) -> bool:
    return True


@pytest.mark.parametrize(
    ("rule", "path", "told"),
    [
        (
            {"when": {"predicate": "gone_module:f"}},
            "when.predicate",
            "cannot be imported: ModuleNotFoundError",
        ),
        ({"when": {"predicate": "json:gone"}}, "when.predicate", "the module json has no gone"),
        ({"when": {"predicate": "json:decoder"}}, "when.predicate", "not a function, but a module"),
        ({"when": {"predicate": "json.loads"}}, "when.predicate", "write module:function"),
        ({"when": {"predicate": 7}}, "when.predicate", "write module:function"),
        ({"when": {"predicate": no_use}}, "when.predicate", "must be a plain function"),
        ({"when": {"predicate": lambda request: True}}, "when.predicate", "is called with (request, call)"),
        ({"answer": {"call": "rpe_test_raising:f"}}, "answer.call", "ZeroDivisionError"),
        ({"answer": {"call": "json"}}, "answer.call", "write module:function"),
        ({"answer": {"call": "json:loads", "message": {}}}, "answer", "message, call is given"),
    ],
)
def test_a_function_that_cannot_be_used_is_told_at_once(
    define: Define, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: Any, path: str, told: str
) -> None:
    (tmp_path / "rpe_test_raising.py").write_text("1 / 0", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DefinitionInvalid) as caught:
        define(GetItem=[{"answer": {"message": {}}} | rule])
    [problem] = caught.value.problems
    assert problem.startswith(f"definition: methods.GetItem[0].{path}: ") and told in problem


def test_a_mistake_in_a_text_has_its_line(shop: Path) -> None:
    text = (
        "service: shop.v1.Shop\ndescriptors: {set: shop.binpb}\nmethods:\n  GetItem:\n"
        "    - when:\n        predicate: gone_module:f\n      answer:\n        call: json:gone\n"
    )
    with pytest.raises(DefinitionInvalid) as caught:
        parse_definition(text, shop)
    starts = [problem.partition(": ")[0] for problem in caught.value.problems]
    assert starts == ["definition:6", "definition:8"]


def test_a_status_must_have_a_code_and_keys_that_can_be_sent() -> None:
    with pytest.raises(ValueError, match="'OK' is none of"):
        Status("OK")
    with pytest.raises(ValueError, match="'Upper': a key"):
        Status("ABORTED", metadata={"Upper": "x"})
