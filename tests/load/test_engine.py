"""The engine on the test's own loop, with servers beside it: what it reports, and when."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from rpe import ClientSettings, Manifest, RuntimeData, Text
from rpe.fakes import FakeServer, Kind
from rpe.fakes.journal import Entry
from rpe.load.engine import Engine
from rpe.load.frames import Frame, FrameReader, pack
from rpe.load.messages import KINDS, pack_data, settings_to_json, unpack_outputs

ECHO = Manifest.single("echo", node_type="Echo")
ALWAYS = {"timeout_s": None, "repeatable": None, "client": 1, "manifest": 2}


class Owner:
    """The other side of an engine's socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.samples: list[tuple[str, str, float, int, str | None]] = []
        self.answers: dict[int, Frame] = {}
        self.reported: dict[int, int] = {}
        """How many samples had come before each answer."""
        self._reader = reader
        self._writer = writer
        self._frames = FrameReader()

    def send(self, head: dict[str, Any], body: bytes = b"") -> None:
        self._writer.write(pack(head, body))

    async def answer(self, number: int) -> Frame:
        async with asyncio.timeout(10):
            while number not in self.answers:
                for frame in self._frames.feed(await self._reader.read(1 << 16)):
                    self.samples += [tuple(sample) for sample in frame.head.get("samples", [])]
                    if "call" in frame.head:
                        self.answers[frame.head["call"]] = frame
                        self.reported[frame.head["call"]] = len(self.samples)
        return self.answers[number]

    async def connect(self, *endpoints: str, report: tuple[str, ...] = KINDS, **config: Any) -> Frame:
        settings = settings_to_json(config.pop("settings", ClientSettings()))
        head = {"op": "client", "call": 1, "id": 1, "endpoints": endpoints, "transport": "grpc"}
        self.send(head | {"settings": settings, "config": config, "report": report})
        self.send({"op": "manifest", "id": 2}, ECHO.to_json().encode())
        for number in range(5):
            self.send({"op": "data", "id": 10 + number}, pack_data(Text(f"chunk {number}")))
        return await self.answer(1)

    def execute(self, number: int, **more: Any) -> None:
        self.send(ALWAYS | {"op": "execute", "call": number, "name": "e", "data": 10, "keep": True} | more)

    def stream(self, number: int, **more: Any) -> None:
        chunks = [10, 11, 12, 13, 14]
        order = {"op": "stream", "call": number, "name": "s", "chunks": chunks, "every_s": 0, "keep": True}
        self.send(ALWAYS | order | more)

    def errors(self, kind: str) -> list[str | None]:
        return [error for told, *_, error in self.samples if told == kind]


def of_a_call(kind: Kind) -> Callable[[Entry], bool]:
    return lambda entry: entry.kind is kind and entry.method == "execute"


@asynccontextmanager
async def engine() -> AsyncIterator[Owner]:
    """Run an engine; afterwards it must end by itself, as its owner has."""
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=theirs)
    ended: list[bool] = []
    running = asyncio.create_task(Engine(writer, on_end=lambda: ended.append(True)).run(reader))
    own_reader, own_writer = await asyncio.open_connection(sock=ours)
    try:
        yield Owner(own_reader, own_writer)
    finally:
        own_writer.close()
        async with asyncio.timeout(5):
            await running
        writer.close()
        assert ended == [True]


@asynccontextmanager
async def served(behaviour: Mapping[str, Any] | None = None) -> AsyncIterator[tuple[Owner, FakeServer]]:
    async with FakeServer(behaviour=behaviour) as fake, engine() as owner:
        await owner.connect(fake.endpoint)
        yield owner, fake


async def test_a_call_is_reported_with_its_attempt_before_it_is_answered() -> None:
    async with served() as (owner, fake):
        owner.execute(5)
        answer = await owner.answer(5)
        assert unpack_outputs(answer.head["parts"], answer.body) == {"output": Text("chunk 0")}
        assert owner.reported[5] == 2
        (attempt, call) = owner.samples
        assert attempt[:2] == ("attempt", f"e @ {fake.endpoint}")
        assert call[0::3] == ("execute", 7) and call[4] is None
        assert call[2] >= attempt[2] > 0


async def test_a_latency_is_what_the_server_took_at_least() -> None:
    async with served({"latency": {"fixed_s": 0.1}}) as (owner, _):
        owner.execute(5)
        answer = await owner.answer(5)
        assert answer.head["latency_s"] >= 0.1
        assert all(sample[2] >= 100 for sample in owner.samples)


async def test_only_what_was_asked_for_is_reported() -> None:
    async with FakeServer() as fake, engine() as owner:
        await owner.connect(fake.endpoint, report=("chunk",))
        owner.execute(5)
        owner.stream(6)
        await owner.answer(5)
        await owner.answer(6)
        assert [sample[0] for sample in owner.samples] == ["chunk"] * 5


async def test_a_failed_call_is_an_answer_with_all_that_is_known() -> None:
    async with served({"error": {"status": "invalid_argument", "message": "no 7"}}) as (owner, fake):
        owner.execute(5, keep=False)
        answer = await owner.answer(5)
        assert "no #" in answer.head["error"]
        assert fake.endpoint in answer.head["text"]
        assert owner.errors("execute") == owner.errors("attempt") == [answer.head["error"]]


async def test_a_call_that_is_cancelled_is_cancelled_at_the_server_and_never_reported() -> None:
    async with served({"hang": {}}) as (owner, fake):
        owner.execute(5)
        await fake.journal.wait_for(of_a_call(Kind.RECEIVED))
        owner.send({"op": "cancel", "call": 5})
        await fake.journal.wait_for(of_a_call(Kind.CANCELLED))
        await fake.set_behaviour({})
        owner.execute(6)
        await owner.answer(6)
        assert [sample[0] for sample in owner.samples] == ["attempt", "execute"]
        assert 5 not in owner.answers


async def test_calls_that_run_end_with_the_owner() -> None:
    async with FakeServer(behaviour={"hang": {}}) as fake:
        async with engine() as owner:
            await owner.connect(fake.endpoint)
            owner.execute(5)
            await fake.journal.wait_for(of_a_call(Kind.RECEIVED))
        await fake.journal.wait_for(of_a_call(Kind.CANCELLED))


async def test_wrong_settings_are_an_answer() -> None:
    async with engine() as owner:
        told = await owner.connect("127.0.0.1:1", connect_timeout_s=-1.0)
        assert "connect_timeout_s" in told.head["text"]


async def test_a_session_reports_its_opening_its_chunks_its_attempt_and_itself() -> None:
    async with served() as (owner, _):
        owner.stream(5, every_s=0.02)
        answer = await owner.answer(5)
        assert [sample[0] for sample in owner.samples] == ["open", *["chunk"] * 5, "attempt", "stream"]
        assert (answer.head["sent"], answer.head["answered"]) == (5, 5)
        assert answer.head["latency_s"] >= 4 * 0.02
        sequences: list[int] = []
        texts: list[RuntimeData] = []
        start = 0
        for sequence, parts in answer.head["results"]:
            length = sum(size for _, size in parts)
            sequences.append(sequence)
            texts += unpack_outputs(parts, answer.body[start : start + length]).values()
            start += length
        assert sequences == [0, 1, 2, 3, 4]
        assert texts == [Text(f"chunk {number}") for number in range(5)]


async def test_a_chunk_that_waits_behind_a_slow_one_is_late_from_when_it_was_due() -> None:
    # Two chunks may be without an answer, so the sender is held up by a server that takes 50 ms for each.
    settings = ClientSettings(repeatable=True, replay_chunks=2)
    async with FakeServer(behaviour={"stream": {"drip_s": 0.05}}) as fake, engine() as owner:
        await owner.connect(fake.endpoint, settings=settings)
        owner.stream(5, every_s=0.01)
        await owner.answer(5)
        chunks = [latency for kind, _, latency, *_ in owner.samples if kind == "chunk"]
        assert len(chunks) == 5
        # The last one is due after 40 ms, and answered after 200 ms at the earliest.
        assert chunks[-1] >= 4 * 50 - 40


async def test_a_session_that_breaks_fails_with_the_chunks_that_have_no_answer() -> None:
    async with served({"stream": {"cut_after": 2, "drip_s": 0.05}}) as (owner, _):
        owner.stream(5)
        answer = await owner.answer(5)
        assert answer.head["error"].startswith("stream_broken")
        assert owner.errors("stream") == owner.errors("attempt") == [answer.head["error"]]
        chunks = owner.errors("chunk")
        assert chunks[:2] == [None, None]
        assert len(chunks) > 2
        assert all(chunks[2:])


async def test_a_session_that_is_not_opened_is_an_opening_that_failed() -> None:
    async with served({"error": {"status": "invalid_argument", "message": "not here"}}) as (owner, _):
        owner.stream(5)
        answer = await owner.answer(5)
        assert owner.errors("open") == owner.errors("stream") == [answer.head["error"]]
        assert owner.errors("chunk") == []


@pytest.mark.parametrize("data", [99, {"echo": 99}])
async def test_a_fault_of_its_own_is_told_to_who_waits(data: Any) -> None:
    async with served() as (owner, _):
        owner.execute(5, data=data)
        answer = await owner.answer(5)
        assert answer.head["error"].startswith("KeyError")
