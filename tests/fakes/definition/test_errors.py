"""What goes with an answer beside its messages: details of errors, and metadata before and after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf.message_factory import GetMessageClass

from rpe.fakes.definition.details import Status
from rpe.fakes.definition.ending import Detail
from rpe.fakes.definition.messages import parsed
from rpe.fakes.definition.paths import json_form
from rpe.fakes.definition.problems import DefinitionInvalid
from rpe.fakes.definition.rpc_types import rpc_pool
from tests.fakes.definition.spoken import Said, Spoken

Define = Callable[..., Any]
RPC = "type.googleapis.com/google.rpc."
DETAILS = [
    {"@type": f"{RPC}RetryInfo", "retry_delay": "2.5s"},
    {"@type": "google.rpc.ErrorInfo", "reason": "NO_${request.id}", "metadata": {"a": "b"}},
    {"@type": "type.googleapis.com/shop.v1.Size", "width_mm": 3},
    {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1s"},
    {"type_url": "example.org/any.Thing", "value": "AAE="},
]
ERROR = {"code": "RESOURCE_EXHAUSTED", "message": "no ${request.id}", "details": DETAILS}


def rpc_type(name: str) -> Any:
    return GetMessageClass(rpc_pool().FindMessageTypeByName(f"google.rpc.{name}"))


def told(details: bytes | None) -> tuple[int, str, dict[str, bytes]]:
    status = rpc_type("Status").FromString(details or b"")
    return status.code, status.message, {part.type_url: part.value for part in status.details}


def check_details(details: bytes | None) -> None:
    code, text, parts = told(details)
    assert (code, text) == (grpc.StatusCode.RESOURCE_EXHAUSTED.value[0], "no 7")
    assert list(parts) == [
        f"{RPC}RetryInfo",
        f"{RPC}ErrorInfo",
        "type.googleapis.com/shop.v1.Size",
        "type.googleapis.com/google.protobuf.Duration",
        "example.org/any.Thing",
    ]
    assert json_form(rpc_type("RetryInfo").FromString(parts[f"{RPC}RetryInfo"])) == {"retry_delay": "2.500s"}
    info = rpc_type("ErrorInfo").FromString(parts[f"{RPC}ErrorInfo"])
    assert json_form(info) == {"reason": "NO_7", "metadata": {"a": "b"}}
    assert parts["type.googleapis.com/shop.v1.Size"] == b"\x08\x03"
    assert parts["type.googleapis.com/google.protobuf.Duration"] == b"\x08\x01"
    assert parts["example.org/any.Thing"] == b"\x00\x01"


async def test_details_go_beside_the_status(define: Define) -> None:
    said = await Spoken(define(GetItem=[{"answer": {"error": ERROR}}]))("GetItem", {"id": "7"})
    assert said.ended is not None
    check_details(said.ended.details)
    assert said.ended.parts[4] == Detail("example.org/any.Thing", b"\x00\x01")


async def test_grpc_carries_details_and_metadata(open_shop: Callable[..., Any]) -> None:
    sent: dict[str, Any] = {
        "metadata": {"region": ["eu", "us"], "key-bin": "AAE="},
        "trailing_metadata": {"cost": "3"},
    }
    rules = [
        {"when": {"fields": {"id": "7"}}, "answer": {"error": ERROR, **sent}},
        {"answer": {"message": {"id": "ok"}, **sent}},
    ]
    stream = [{"answer": {"messages": [{"message": {}}], **sent}}]
    async with open_shop(GetItem=rules, ListItems=stream) as (_, call):
        failing = call("GetItem", {"id": "7"})
        with pytest.raises(grpc.aio.AioRpcError):
            await failing
        trailing = dict(await failing.trailing_metadata())
        check_details(trailing["grpc-status-details-bin"])
        assert trailing["cost"] == "3"
        for good in (call("GetItem"), call("ListItems")):
            if hasattr(good, "read"):
                assert await good.read() is not grpc.aio.EOF
                assert await good.read() is grpc.aio.EOF
            began = list(await good.initial_metadata())
            assert [value for key, value in began if key == "region"] == ["eu", "us"]
            assert ("key-bin", b"\x00\x01") in began
            assert dict(await good.trailing_metadata())["cost"] == "3"
            assert await good.code() is grpc.StatusCode.OK


async def test_metadata_goes_before_the_first_message_whatever_the_answer_is(define: Define) -> None:
    sent = {"metadata": {"region": "eu"}, "trailing_metadata": {"cost": "3"}}

    def raising(request: Any, call: Any) -> Any:
        raise Status("ABORTED", "so", metadata={"more": "1"})

    broken: dict[str, Any] = {"message": {"price_cents": "${request.id}"}}
    answers: list[dict[str, Any]] = [
        {"message": {}},
        {"error": {"code": "ABORTED"}},
        {"call": raising},
        broken,
    ]
    rules = [{"answer": {"sequence": [{**answer, **sent} for answer in answers]}}]
    speak = Spoken(define(GetItem=rules, Chat=[{"answer": {"script": [{"send": {}}], **sent}}]))
    said: list[Said] = [await speak("GetItem", {"id": "x"}) for _ in answers]
    assert [one.status[0] for one in said] == ["OK", "ABORTED", "ABORTED", "INTERNAL"]
    assert [one.began for one in said] == [(("region", "eu"),)] * 4
    assert [one.trailing for one in said] == [
        (("cost", "3"),),
        (("cost", "3"),),
        (("cost", "3"), ("more", "1")),
        (("cost", "3"),),
    ]
    chat = await speak("Chat")
    assert (chat.began, chat.trailing) == ((("region", "eu"),), (("cost", "3"),))


async def test_a_function_raises_details_in_any_form(define: Define) -> None:
    retry = parsed(rpc_type("RetryInfo"), {"retry_delay": "2.5s"})
    details: list[Any] = [retry, {"@type": "shop.v1.Size", "width_mm": 3}]

    def raising(request: Any, call: Any) -> Any:
        raise Status("aborted", "so", details=details)

    said = await Spoken(define(GetItem=[{"answer": {"call": raising}}]))("GetItem")
    assert said.ended is not None
    code, text, parts = told(said.ended.details)
    assert (code, text) == (10, "so")
    assert parts == {
        f"{RPC}RetryInfo": retry.SerializeToString(),
        "type.googleapis.com/shop.v1.Size": b"\x08\x03",
    }


async def test_a_script_aborts_with_details_of_the_last_request(define: Define) -> None:
    script = [{"expect": {}}, {"abort": ERROR}]
    said = await Spoken(define(Chat=[{"answer": {"script": script}}]))("Chat", {"id": "7"})
    assert said.ended is not None
    check_details(said.ended.details)


async def test_an_error_without_details_has_none(define: Define) -> None:
    said = await Spoken(define(GetItem=[{"answer": {"error": {"code": "ABORTED"}}}]))("GetItem")
    assert said.ended is not None and said.ended.details is None


def test_the_types_of_google_rpc_are_those_that_are_published() -> None:
    """The wire forms were written out by hand from the numbers in error_details.proto."""
    wires = {
        "BadRequest": ({"field_violations": [{"field": "a", "description": "b"}]}, "0a060a01611201 62"),
        "DebugInfo": ({"stack_entries": ["a"], "detail": "b"}, "0a016112 0162"),
        "ErrorInfo": (
            {"reason": "a", "domain": "b", "metadata": {"c": "d"}},
            "0a01611201621a060a016312 0164",
        ),
        "QuotaFailure": ({"violations": [{"subject": "a", "description": "b"}]}, "0a060a0161120162"),
        "PreconditionFailure": (
            {"violations": [{"type": "a", "subject": "b", "description": "c"}]},
            "0a090a01611201621a0163",
        ),
        "RequestInfo": ({"request_id": "a", "serving_data": "b"}, "0a0161120162"),
        "ResourceInfo": ({"resource_type": "a", "owner": "b", "description": "c"}, "0a01611a0162220163"),
        "Help": ({"links": [{"description": "a", "url": "b"}]}, "0a060a0161120162"),
        "LocalizedMessage": ({"locale": "a", "message": "b"}, "0a0161120162"),
    }
    for name, (form, wire) in wires.items():
        assert parsed(rpc_type(name), form).SerializeToString() == bytes.fromhex(wire), name


@pytest.mark.parametrize(
    ("answer", "place"),
    [
        (
            {"error": {**ERROR, "details": [{"@type": "gone.Type"}]}},
            "error.details[0].@type: gone.Type is no type",
        ),
        (
            {"error": {**ERROR, "details": [{"@type": 7}]}},
            "error.details[0].@type: the name of a type is needed",
        ),
        ({"error": {**ERROR, "details": [{}, {"x": 1}]}}, "error.details[1]: a detail is"),
        (
            {"error": {**ERROR, "details": [{"type_url": "a/b", "value": "%"}]}},
            "error.details[0]: value is not",
        ),
        (
            {"error": {**ERROR, "details": [{"@type": "google.rpc.ErrorInfo", "reasn": "x"}]}},
            "error.details[0].reasn: google.rpc.ErrorInfo has no such field",
        ),
        (
            {"error": {**ERROR, "details": [{"@type": "google.rpc.ErrorInfo", "reason": "${request.x}"}]}},
            "error.details[0].reason: shop.v1.ItemRequest has no field",
        ),
        ({"message": {}, "metadata": {"Region": "eu"}}, "metadata.Region: a key of metadata is made of"),
        ({"message": {}, "metadata": {"region": "ü"}}, "metadata.region: values are printable ASCII"),
        ({"message": {}, "metadata": {"region": 1}}, "metadata.region"),
        (
            {"message": {}, "trailing_metadata": {"grpc-status": "0"}},
            "trailing_metadata.grpc-status: keys that",
        ),
        ({"message": {}, "trailing_metadata": {"a-bin": "%"}}, "trailing_metadata.a-bin: this is not base64"),
        ({"sequence": [{"message": {}}], "metadata": {"a": "b"}}, "answer: give metadata in the answers of"),
    ],
)
def test_mistakes_are_told_at_once(define: Define, answer: Any, place: str) -> None:
    with pytest.raises(DefinitionInvalid) as caught:
        define(GetItem=[{"answer": answer}])
    assert any(place in problem for problem in caught.value.problems)


def test_a_server_may_say_when_to_come_again(define: Define) -> None:
    error = {"error": {"code": "UNAVAILABLE"}, "trailing_metadata": {"grpc-retry-pushback-ms": "100"}}
    define(GetItem=[{"answer": error}])
