"""Calls are served without any wire in particular; gRPC is only one of those who ask for it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.message import Message

from rpe.fakes.definition.ending import CallEnded
from tests.fakes.definition.spoken import Spoken

Define = Callable[..., Any]


def test_serving_needs_no_wire_and_nothing_heavy() -> None:
    code = (
        "import sys, rpe.fakes.definition.loading, rpe.fakes.definition.answering\n"
        "print([name for name in ('grpc', 'aiohttp', 'numpy', 'av', 'aiortc') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_what_another_wire_needs_to_know_of_a_method(define: Define) -> None:
    rules = [{"answer": {"message": {"id": "${request.id}"}}}]
    plan = Spoken(define(GetItem=rules)).methods["GetItem"].plan
    assert (plan.name, plan.kind) == ("GetItem", "unary")
    names = [kind.DESCRIPTOR.full_name for kind in (plan.request, plan.response)]
    assert names == ["shop.v1.ItemRequest", "shop.v1.Item"]


async def test_what_is_always_the_same_is_sent_as_bytes_and_the_rest_as_messages(define: Define) -> None:
    rules = [
        {"when": {"call": 1}, "answer": {"message": {"id": "7"}}},
        {"answer": {"message": {"id": "${request.id}"}}},
    ]
    served = Spoken(define(GetItem=rules)).methods["GetItem"]
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    for _ in range(2):
        requests = [served.plan.request().SerializeToString(), None]

        async def take(requests: Any = requests) -> bytes | None:
            return requests.pop(0)  # type: ignore[no-any-return]

        assert await served.serve((), take, send) == ()
    assert sent[0] == b"\x0a\x017" and isinstance(sent[1], Message)


async def test_an_error_of_the_wire_is_noted_and_passed_on(define: Define) -> None:
    speak = Spoken(define(GetItem=[{"answer": {"message": {}}}]))

    async def take() -> bytes | None:
        raise ConnectionResetError("gone")

    async def send(message: Any) -> None:
        raise AssertionError

    with pytest.raises(ConnectionResetError):
        await speak.methods["GetItem"].serve((), take, send)
    assert speak.journal.calls()[0].code == "UNKNOWN"


async def test_a_cancelled_call_is_noted_and_cancelled(define: Define) -> None:
    speak = Spoken(define(Chat=[{"answer": {"each": [{"message": {}}]}}]))

    async def take() -> bytes | None:
        await asyncio.Event().wait()
        return None

    async def send(message: Any) -> None:
        raise AssertionError

    running = asyncio.create_task(speak.methods["Chat"].serve((), take, send))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert speak.journal.calls()[0].code == "CANCELLED"


def test_the_text_of_a_status_is_bounded() -> None:
    ended = CallEnded("ABORTED", "x" * 10_000)
    assert len(ended.text) == 2000
    assert str(CallEnded("ABORTED", "so")) == "ABORTED: so"
