"""The control API of definitions: rules while it runs, faults as rules, calls, scenarios, health."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest

from rpe.fakes.control.definitions import ControlledDefinitions
from rpe.fakes.definition.fake import ProtoFake


def answering(id_: str) -> list[Any]:
    return [{"answer": {"message": {"id": id_}}}]


UNAVAILABLE = {"error": {"code": "UNAVAILABLE", "message": "for a while"}}
Call = Any


@pytest.fixture
def get_item() -> Call:
    """Calls GetItem, and returns the id in the answer, or the name of the status."""

    async def call(
        channel: grpc.aio.Channel, id_: str = "", service: str = "shop.v1.Shop", **options: Any
    ) -> str:
        multi: Any = channel.unary_unary(f"/{service}/GetItem")
        try:
            answer: bytes = await multi(b"\x0a" + bytes([len(id_)]) + id_.encode(), timeout=5, **options)
        except grpc.aio.AioRpcError as error:
            return str(error.code().name)
        return answer[2 : 2 + answer[1]].decode() if answer[:1] == b"\x0a" else ""

    return call


class Controlled:
    """A fake with its control API and a channel to it."""

    def __init__(self, serve: Any, fake: ProtoFake, folder: Path = Path()) -> None:
        self.fake = fake
        self._serving = serve(ControlledDefinitions(fake, lambda: {"grpc": fake.endpoint}, None, folder))

    async def __aenter__(self) -> tuple[Any, grpc.aio.Channel]:
        await self.fake.start()
        self._channel = grpc.aio.insecure_channel(self.fake.endpoint)
        return await self._serving.__aenter__(), self._channel

    async def __aexit__(self, *_: Any) -> None:
        await self._serving.__aexit__(None, None, None)
        await self._channel.close()
        await self.fake.stop()


async def test_rules_are_replaced_one_service_or_all_with_the_contract_that_is_there(
    serve: Any, define: Any, shop: Path, get_item: Call
) -> None:
    async with Controlled(serve, ProtoFake(define(GetItem=answering("old"))), shop) as (api, channel):
        assert (await api("GET", "/")).form["services"] == ["shop.v1.Shop"]
        new = {"service": "shop.v1.Shop", "methods": {"GetItem": answering("new")}}
        assert (await api("PATCH", "/rules", new)).form == [new]
        assert await get_item(channel) == "new"
        till = {"service": "shop.v1.Till", "methods": {"GetItem": answering("till")}}
        assert (await api("PATCH", "/rules", till)).form == [new, till]
        assert await get_item(channel, service="shop.v1.Till") == "till"
        assert await get_item(channel) == "new"
        assert (await api("PUT", "/rules", [{**till, "descriptors": {"set": "shop.binpb"}}])).status == 200
        assert await get_item(channel, service="shop.v1.Till") == "till"
        assert await get_item(channel) == "UNIMPLEMENTED"
        yaml = "service: shop.v1.Shop\nmethods:\n  GetItem:\n    - answer: {message: {id: yaml}}\n"
        assert (await api("PUT", "/rules", data=yaml)).status == 200
        assert await get_item(channel) == "yaml"


@pytest.mark.parametrize(
    ("method", "path", "form", "told"),
    [
        ("PUT", "/rules", {"methods": {}}, "names its service"),
        ("PUT", "/rules", [], "at least one"),
        ("PUT", "/rules", {"service": "shop.v1.Gone", "methods": {}}, "no contract of shop.v1.Gone"),
        ("PUT", "/rules", {"service": "shop.v1.Shop", "methods": {"Get": []}}, "no such method"),
        ("PUT", "/rules", {"service": "shop.v1.Shop", "method": {}}, "method: "),
        ("PUT", "/rules", {"service": "shop.v1.Shop", "methods": {}, "descriptors": {"set": "x"}}, "cannot"),
        ("POST", "/faults", {"method": "GetItem"}, "answer are needed"),
        ("POST", "/faults", {"method": "Gone", "answer": UNAVAILABLE}, "has a method Gone"),
        ("POST", "/faults", {"method": "GetItem", "answer": {"error": {"code": "BAD"}}}, "BAD"),
        ("POST", "/faults", {"method": "GetItem", "answer": {"message": {"ide": "7"}}}, "ide"),
        ("POST", "/verify", {"fields": {"id": "7"}}, "names a method"),
        ("POST", "/verify", {"method": "GetItem", "fields": {"ide": "7"}}, "ide"),
        ("POST", "/verify", {"method": "GetItem", "fields": {"count": "many"}}, "fields.count"),
        ("PUT", "/scenarios", {"order": "paid"}, "no rule speaks of the scenario order"),
        ("PUT", "/health", {"status": "SERVING", "service": "gone"}, "no service 'gone'"),
        ("GET", "/journal?kind=failed", None, "ended, running"),
        ("GET", "/journal?method=Gone", None, "has a method Gone"),
    ],
)
async def test_what_cannot_be_used_is_told_and_changes_nothing(
    serve: Any, define: Any, method: str, path: str, form: Any, told: str, get_item: Call
) -> None:
    async with Controlled(serve, ProtoFake(define(GetItem=answering("7")))) as (api, channel):
        answer = await api(method, path, form)
        assert answer.status == 400 and told in answer.form["error"], answer.text
        assert await get_item(channel) == "7"


async def test_a_fault_answers_before_the_rules_and_heals(serve: Any, define: Any, get_item: Call) -> None:
    sequence = [{"answer": {"sequence": [{"message": {"id": id_}} for id_ in "abcdefg"]}}]
    async with Controlled(serve, ProtoFake(define(GetItem=sequence))) as (api, channel):
        fault = {"method": "GetItem", "answer": UNAVAILABLE}
        opened = (await api("POST", "/faults", {**fault, "when": {"fields": {"id": "x"}}, "calls": 2})).form
        assert (opened["method"], opened["left_calls"]) == ("shop.v1.Shop/GetItem", 2)
        assert [await get_item(channel, id_) for id_ in "yxyxx"] == [
            "a",
            "UNAVAILABLE",
            "b",
            "UNAVAILABLE",
            "c",
        ]
        assert (await api("GET", "/faults")).form == []
        # Other changes do not begin the method's sequence anew, only another fault of its own does.
        await api("POST", "/faults", {"method": "ListItems", "answer": UNAVAILABLE})
        assert await get_item(channel, "x") == "d"
        timed = (await api("POST", "/faults", {**fault, "for_s": 0.1})).form
        assert await get_item(channel) == "UNAVAILABLE"
        newest = (await api("POST", "/faults", {**fault, "answer": {"error": {"code": "ABORTED"}}})).form
        assert await get_item(channel) == "ABORTED"
        assert (await api("DELETE", f"/faults/{newest['id']}")).status == 204
        assert await get_item(channel) == "UNAVAILABLE"
        await asyncio.sleep(0.15)
        assert (await api("GET", f"/faults/{timed['id']}")).status == 404
        assert await get_item(channel) == "a"
        metrics = (await api("GET", "/metrics")).text
        assert 'rpe_fake_faults_total{kind="error"} 5.0' in metrics


async def test_faults_stay_over_other_rules_and_heal_where_their_method_is_gone(
    serve: Any, define: Any, get_item: Call
) -> None:
    async with Controlled(serve, ProtoFake(define(GetItem=answering("7")))) as (api, channel):
        await api("POST", "/faults", {"method": "shop.v1.Shop/GetItem", "answer": UNAVAILABLE})
        await api("PUT", "/rules", {"service": "shop.v1.Shop", "methods": {"GetItem": answering("8")}})
        assert await get_item(channel) == "UNAVAILABLE"
        await api("DELETE", "/faults")
        assert await get_item(channel) == "8"


async def test_calls_are_shown_with_their_messages_and_without_secrets(
    serve: Any, define: Any, get_item: Call
) -> None:
    async with Controlled(serve, ProtoFake(define(GetItem=answering("7")))) as (api, channel):
        waiting = asyncio.create_task(api("GET", "/journal?method=GetItem&wait_s=5&count=2"))
        metadata = (("authorization", "Bearer hush"), ("lang", "en"), ("x-bin", b"\x01"))
        await get_item(channel, "1", metadata=metadata)
        await get_item(channel, "2")
        answer = await waiting
        first, second = answer.form["entries"]
        assert (first["number"], first["code"], first["requests"], first["answers"], first["rule"]) == (
            *(1, "OK"),
            *([{"id": "1"}], [{"id": "7"}], 0),
        )
        assert second["requests"] == [{"id": "2"}] and second["call"] == 2
        assert "hush" not in answer.text
        shown = dict(map(tuple, first["metadata"]))
        assert (shown["authorization"], shown["lang"], shown["x-bin"]) == ("[hidden]", "en", "AQ==")
        since = (await api("GET", "/journal?since=1")).form
        assert [entry["number"] for entry in since["entries"]] == [2] and since["next"] == 2


async def test_a_running_call_is_shown_while_it_runs(serve: Any, define: Any) -> None:
    slow = [{"answer": {"messages": [{"message": {}}, {"message": {}, "delay_s": 60}]}}]
    async with Controlled(serve, ProtoFake(define(ListItems=slow))) as (api, channel):
        multi: Any = channel.unary_stream("/shop.v1.Shop/ListItems")
        call = multi(b"")
        await call.read()
        [running] = (await api("GET", "/journal?kind=running")).form["entries"]
        assert (running["method"], running["code"]) == ("ListItems", "")
        assert "in_flight{" in (metrics := (await api("GET", "/metrics")).text)
        assert 'rpe_fake_calls_in_flight{method="shop.v1.Shop/ListItems"} 1.0' in metrics
        call.cancel()
        ended = (await api("GET", "/journal?wait_s=5")).form["entries"]
        assert [entry["code"] for entry in ended] == ["CANCELLED"]
        assert (await api("GET", "/journal?kind=running")).form["entries"] == []


async def test_expectations_are_judged_in_the_types_of_the_fields(
    serve: Any, define: Any, get_item: Call
) -> None:
    async with Controlled(serve, ProtoFake(define(GetItem=answering("7")))) as (api, channel):
        await get_item(channel, "1", metadata=(("lang", "en"),))
        await get_item(channel, "2")
        for form in (
            {"method": "GetItem", "exactly": 2},
            {"method": "GetItem", "fields": {"id": "1", "count": 0}, "exactly": 1},
            {"method": "shop.v1.Shop/GetItem", "fields": {"id": {"regex": "^[12]$"}}, "exactly": 2},
            {"method": "GetItem", "metadata": {"lang": "en"}, "exactly": 1},
            {"method": "GetItem", "code": "ok", "at_most": 2},
            {"method": "ListItems", "exactly": 0},
        ):
            assert (await api("POST", "/verify", form)).form["passed"], form
        near = await api("POST", "/verify", {"method": "GetItem", "fields": {"id": "3", "count": 0}})
        assert near.form["error"] == "at least 1 wanted, 0 found"
        assert near.form["hint"] == "nearest is call 2: id is not '3'"
        nearer = {"method": "GetItem", "fields": {"id": "3"}, "metadata": {"lang": "en"}}
        assert (await api("POST", "/verify", nearer)).form["hint"].startswith("nearest is call 1")
        await api("DELETE", "/journal")
        assert (await api("POST", "/verify", {"method": "GetItem", "exactly": 0})).form["passed"]


async def test_scenarios_are_shown_and_set_and_reset_begins_anew(
    serve: Any, define: Any, get_item: Call
) -> None:
    rules = [
        {"when": {"scenario": {"name": "order", "state": "paid"}}, "answer": {"message": {"id": "paid"}}},
        *answering("open"),
    ]
    async with Controlled(serve, ProtoFake(define(GetItem=rules))) as (api, channel):
        assert (await api("GET", "/scenarios")).form == {"order": "started"}
        assert await get_item(channel) == "open"
        assert (await api("PUT", "/scenarios", {"order": "paid"})).form == {"order": "paid"}
        assert await get_item(channel) == "paid"
        assert (await api("POST", "/reset")).status == 204
        assert await get_item(channel) == "open"
        [entry] = (await api("GET", "/journal")).form["entries"]
        assert entry["call"] == 1


async def test_health_is_told_by_service(serve: Any, define: Any) -> None:
    async with Controlled(serve, ProtoFake(define())) as (api, _):
        assert (await api("GET", "/health")).form["statuses"] == {"": "SERVING", "shop.v1.Shop": "SERVING"}
        set_ = await api("PUT", "/health", {"status": "NOT_SERVING", "service": "shop.v1.Shop"})
        assert set_.form["statuses"] == {"": "SERVING", "shop.v1.Shop": "NOT_SERVING"}
        set_ = await api("PUT", "/health", {"status": "unknown"})
        assert set_.form["statuses"] == {"": "UNKNOWN", "shop.v1.Shop": "UNKNOWN"}
