"""The four kinds of call, over a real connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from tests.fakes.definition.spoken import Spoken

Open = Callable[..., Any]


def item(id_: str) -> dict[str, Any]:
    return {"message": {"id": id_}}


async def status(call: Any) -> tuple[str, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code().name, caught.value.details() or ""


async def test_a_unary_call_is_answered_and_noted_whole(open_shop: Open) -> None:
    async with open_shop(GetItem=[{"answer": item("7")}]) as (fake, call):
        assert await call.one("GetItem", {"id": "x"}, metadata=(("who", "me"),)) == {"id": "7"}
        [noted] = fake.calls("GetItem")
    assert (noted.requests, noted.answers) == ([{"id": "x"}], [{"id": "7"}])
    assert (noted.code, noted.rule, noted.number, noted.service) == ("OK", 0, 1, "shop.v1.Shop")
    assert ("who", "me") in noted.metadata
    assert "me" not in repr(noted).replace("method", "")


async def test_a_server_stream_has_its_messages_in_order_and_their_delays(open_shop: Open) -> None:
    answer = {"messages": [item("1"), {**item("2"), "delay_s": 0.2}]}
    async with open_shop(ListItems=[{"answer": answer}]) as (fake, call):
        stream = call("ListItems", {"id": "x"})
        loop = asyncio.get_running_loop()
        first = await anext(aiter(stream))
        came = loop.time()
        second = await anext(aiter(stream))
        assert (first.id, second.id) == ("1", "2")
        assert loop.time() - came > 0.1
        assert await stream.code() is grpc.StatusCode.OK
        assert fake.calls()[0].answers == [{"id": "1"}, {"id": "2"}]


async def test_a_stream_may_be_empty_and_may_end_with_an_error(open_shop: Open) -> None:
    broken = {"messages": [item("1")], "error": {"code": "data_loss", "message": "torn"}}
    rules = [{"when": {"call": 1}, "answer": {"messages": []}}, {"answer": broken}]
    async with open_shop(ListItems=rules) as (fake, call):
        assert await call.all("ListItems") == []
        stream = call("ListItems")
        assert (await anext(aiter(stream))).id == "1"
        assert await status(anext(aiter(stream))) == ("DATA_LOSS", "torn")
        assert [noted.code for noted in fake.calls()] == ["OK", "DATA_LOSS"]


async def test_a_client_stream_is_answered_after_its_last_request(open_shop: Open) -> None:
    answer = {"message": {"number": 3, "last_id": "${request.id}"}}
    async with open_shop(AddItems=[{"answer": answer}]) as (fake, call):
        sent = [{"id": "a"}, {"id": "b"}]
        assert await call.one("AddItems", sent) == {"number": 3, "last_id": "b"}
        assert fake.calls("shop.v1.Shop/AddItems")[0].requests == sent


@pytest.mark.parametrize(
    ("on", "sent", "fits"),
    [
        (None, "ab", True),
        (None, "ba", False),
        ("last", "ab", True),
        ("first", "ab", False),
        ("first", "ba", True),
        ("any", "abc", True),
        ("any", "ac", False),
        ("any", "", False),
        ("first", "", False),
    ],
)
async def test_which_message_of_a_client_stream_is_looked_at(
    open_shop: Open, on: str | None, sent: str, fits: bool
) -> None:
    when: dict[str, Any] = {"fields": {"id": "b"}} | ({"on": on} if on else {})
    rules = [{"when": when, "answer": {"message": {"number": 1}}}, {"answer": {"message": {"number": 2}}}]
    async with open_shop(AddItems=rules) as (_, call):
        answer = await call.one("AddItems", [{"id": id_} for id_ in sent])
    assert answer == {"number": 1 if fits else 2}


async def test_each_request_of_a_bidirectional_call_is_answered_before_the_next(open_shop: Open) -> None:
    each = {"each": [item("${request.id}!"), item("again")]}
    async with open_shop(Chat=[{"when": {"fields": {"id": "a"}}, "answer": each}]) as (fake, call):
        stream = call("Chat")
        for id_ in "ab":
            await stream.write(call.message("Chat", {"id": id_}))
            assert [(await stream.read()).id for _ in range(2)] == [f"{id_}!", "again"]
        await stream.done_writing()
        assert await stream.read() is grpc.aio.EOF
        assert await stream.code() is grpc.StatusCode.OK
        assert fake.calls()[0].requests == [{"id": "a"}, {"id": "b"}]
        assert len(fake.calls()[0].answers) == 4


async def test_each_may_end_with_an_error(open_shop: Open) -> None:
    answer = {"each": [item("1")], "error": {"code": "ABORTED"}}
    async with open_shop(Chat=[{"answer": answer}]) as (_, call):
        stream = call("Chat", [{"id": "a"}])
        assert (await anext(aiter(stream))).id == "1"
        assert (await status(anext(aiter(stream))))[0] == "ABORTED"


SCRIPT = [
    {"send": {"id": "welcome"}},
    {"expect": {"id": "hello"}},
    {"pause_s": 0.01},
    {"send": {"id": "${request.id} to you"}},
]


async def test_a_script_is_played_step_by_step(open_shop: Open) -> None:
    script = [*SCRIPT, {"drain": True}, {"send": {"id": "bye"}}]
    async with open_shop(Chat=[{"answer": {"script": script}}]) as (fake, call):
        stream = call("Chat")
        assert (await stream.read()).id == "welcome"  # before any request: no rule looks at one
        await stream.write(call.message("Chat", {"id": "hello"}))
        assert (await stream.read()).id == "hello to you"
        for _ in range(2):
            await stream.write(call.message("Chat", {"id": "more"}))
        await stream.done_writing()
        assert (await stream.read()).id == "bye"
        assert await stream.code() is grpc.StatusCode.OK
        assert [request["id"] for request in fake.calls()[0].requests] == ["hello", "more", "more"]


@pytest.mark.parametrize(("sent", "told"), [([{"id": "bye"}], "id is not 'hello'"), ([], "ended its stream")])
async def test_what_a_script_does_not_expect_ends_the_call(open_shop: Open, sent: Any, told: str) -> None:
    async with open_shop(Chat=[{"answer": {"script": SCRIPT}}]) as (fake, call):
        stream = call("Chat", sent)
        assert (await anext(aiter(stream))).id == "welcome"
        code, text = await status(anext(aiter(stream)))
        assert code == "FAILED_PRECONDITION" and "step 1" in text and told in text
        assert fake.calls()[0].details == text


async def test_a_script_can_abort_and_can_close_while_the_caller_still_talks(open_shop: Open) -> None:
    rules = [
        {"when": {"call": 1}, "answer": {"script": [{"abort": {"code": "UNAVAILABLE", "message": "no"}}]}},
        {"answer": {"script": [{"send": {"id": "1"}}, {"close": True}, {"send": {"id": "2"}}]}},
    ]
    async with open_shop(Chat=rules) as (_, call):
        assert await status(call("Chat").read()) == ("UNAVAILABLE", "no")
        stream = call("Chat")
        assert (await stream.read()).id == "1"
        assert await stream.read() is grpc.aio.EOF


async def test_a_first_request_that_chose_the_rule_is_there_for_the_script(open_shop: Open) -> None:
    rules = [
        {"when": {"fields": {"id": "other"}}, "answer": {"error": {"code": "INTERNAL"}}},
        {"when": {"fields": {"id": "hello"}}, "answer": {"script": SCRIPT[1:]}},
    ]
    async with open_shop(Chat=rules) as (fake, call):
        assert await call.all("Chat", [{"id": "hello"}]) == [{"id": "hello to you"}]
        assert fake.calls()[0].rule == 1


async def test_an_error_has_its_code_its_text_and_its_delay(open_shop: Open) -> None:
    error = {"code": "NOT_FOUND", "message": "no item ${request.id}", "delay_s": 0.15}
    async with open_shop(GetItem=[{"answer": {"error": error}}]) as (fake, call):
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert await status(call("GetItem", {"id": "9"})) == ("NOT_FOUND", "no item 9")
        assert loop.time() - began > 0.1
        [noted] = fake.calls()
        assert (noted.code, noted.details, noted.answers) == ("NOT_FOUND", "no item 9", [])


async def test_a_sequence_goes_on_call_by_call_and_its_last_answer_stays(open_shop: Open) -> None:
    sequence = [{"error": {"code": "UNAVAILABLE"}}, item("1"), item("2")]
    async with open_shop(GetItem=[{"answer": {"sequence": sequence}}]) as (fake, call):
        assert (await status(call("GetItem")))[0] == "UNAVAILABLE"
        assert [(await call.one("GetItem"))["id"] for _ in range(3)] == ["1", "2", "2"]
        fake.reset()
        assert fake.calls() == []
        assert (await status(call("GetItem")))[0] == "UNAVAILABLE"
        assert fake.calls()[0].number == 1


class LateCancel:
    """A call of gRPC whose caller gives up: the stream ends first, and the cancel comes later."""

    def __init__(self, turns: int) -> None:
        self._turns = turns
        self.send_initial_metadata = self.write = None

    def invocation_metadata(self) -> None:
        return None

    async def read(self) -> Any:
        task: Any = asyncio.current_task()
        loop = asyncio.get_running_loop()

        def later(turns: int) -> None:
            if turns:
                loop.call_soon(later, turns - 1)
            else:
                task.cancel()

        later(self._turns)
        return grpc.aio.EOF


@pytest.mark.parametrize("turns", [1, 2])
async def test_a_stream_that_ends_because_its_caller_gives_up_has_not_ended_well(
    define: Callable[..., Any], turns: int
) -> None:
    speak = Spoken(define(AddItems=[{"answer": {"message": {}}}], Chat=[{"answer": {"each": [item("1")]}}]))
    serve: Any = speak.methods["AddItems"].handler().stream_unary
    chat: Any = speak.methods["Chat"].handler().stream_stream
    for behaviour in (serve, chat):
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(behaviour(None, LateCancel(turns)))
    assert [noted.code for noted in speak.journal.calls()] == ["CANCELLED", "CANCELLED"]


async def test_a_caller_that_gives_up_is_noted(open_shop: Open) -> None:
    answer = {"messages": [item("1"), {**item("2"), "delay_s": 60}]}
    async with open_shop(ListItems=[{"answer": answer}]) as (fake, call):
        running = call("ListItems", {"id": "x"})
        assert (await running.read()).id == "1"
        assert (fake.calls()[0].code, fake.calls()[0].ended_s) == ("", None)
        running.cancel()
        [noted] = await fake.wait_for_calls(1, "ListItems")
        assert (noted.code, noted.requests, noted.answers) == ("CANCELLED", [{"id": "x"}], [{"id": "1"}])
