"""What the answers of several wires are compared by."""

from __future__ import annotations

import numpy as np
import pytest

from rpe.data import Audio, Text
from rpe.errors import UnknownTransport
from rpe.fakes import FakeServer
from rpe.manifest.model import Manifest
from rpe.testing.wires import Answers, Calls, Outcome, answers_on, differences

ECHO = Manifest.single("n", node_type="Echo")


def said(*texts: str, wire: str = "grpc", error: str = "") -> Answers:
    outcomes = [Outcome(f"execute {n}", {"output": text}) for n, text in enumerate(texts)]
    return Answers(wire, (*outcomes, Outcome("session", error=error)))


def test_nothing_and_one_wire_have_no_differences() -> None:
    assert differences([]) == []
    assert differences([said("a")]) == []


def test_content_order_number_and_errors_are_compared() -> None:
    first = said("a", "b")
    assert differences([first, said("a", "b", wire="http")]) == []
    assert len(differences([first, said("a", "b"), said("a", "c", wire="http")])) == 1
    assert len(differences([first, said("b", "a", wire="http")])) == 2
    [told] = differences([first, said("a", "b", wire="http", error="stream_broken")])
    assert told.startswith("outcome 2: grpc has Outcome(to='session'") and "stream_broken" in told
    assert "nothing more" in differences([first, said("a", "b", "c", wire="http")])[-1]


def test_the_data_itself_is_not_compared_but_its_content() -> None:
    content = {"output": "1"}
    one = Outcome("execute 0", content, outputs={"output": Text("a")})
    assert one == Outcome("execute 0", content)
    assert one != Outcome("execute 0", content, {"output": {"partial": "true"}})


async def test_a_failure_is_an_answer() -> None:
    script = {"error": {"first": 1, "status": "resource_exhausted"}, "stream": {"error_after": 1}}
    async with FakeServer(behaviour=script) as fake:
        calls = Calls(ECHO, unary=[Text("a"), Text("b")], chunks=[Text("c"), Text("d")])
        answers = await answers_on("grpc", fake.endpoint, calls)
    assert [outcome.to for outcome in answers.outcomes] == ["execute 0", "execute 1", "chunk 0", "session"]
    assert answers.errors == ["remote_overloaded", "remote_execution_failed"]
    assert answers.data("execute 1") == [Text("b")] and answers.data("session") == []


async def test_nothing_that_listens_is_an_answer_too() -> None:
    async with FakeServer() as fake:
        endpoint = fake.endpoint
    answers = await answers_on("http", endpoint, Calls(ECHO, unary=[Text("a")], chunks=[Text("b")]))
    assert answers.errors == ["connect_failed", "connect_failed"]


async def test_what_a_wire_cannot_carry_ends_the_session() -> None:
    async with FakeServer(transport="http") as fake:
        unfit = Text("a", metadata={"rpe-node-id": "mine"})
        calls = Calls(ECHO, chunks=[Text("good"), unfit], timeout_s=5)
        answers = await answers_on("http", fake.endpoint, calls)
    assert answers.errors == ["data_validation"]


async def test_a_wire_that_is_not_there_is_told() -> None:
    with pytest.raises(UnknownTransport):
        await answers_on("carrier-pigeon", "127.0.0.1:1", Calls(ECHO))


async def test_the_kind_of_the_numbers_is_no_difference() -> None:
    whole = Audio(np.array([0, 16384], np.int16), 8000)
    async with FakeServer() as fake:
        two = [
            await answers_on("grpc", fake.endpoint, Calls(ECHO, unary=[data]))
            for data in (whole, whole.to_float32())
        ]
    assert differences(two) == []
