"""Streaming sessions: paced sends, concurrent receives, and one end whatever breaks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from rpe.chaos.subject import SubjectOperation
from rpe.chaos.workload import load as load_module
from rpe.chaos.workload.load import Load, run_load
from rpe.chaos.workload.plan import WorkloadPlan
from rpe.chaos.workload.speech import Speech
from rpe.chaos.workload.stream import stream
from rpe.clock import SYSTEM_CLOCK
from rpe.data import RuntimeData
from rpe.errors import RemoteUnavailable, StreamBroken
from tests.support.chaos import Events


class EchoStream:
    """Answers each chunk at once; can break on a send, on a receive, or end before its time."""

    def __init__(
        self, *, break_send: int = -1, break_receive: int = -1, end_at: int = -1, mute: bool = False
    ) -> None:
        self.answers: asyncio.Queue[tuple[int, Mapping[str, RuntimeData]] | None] = asyncio.Queue()
        self.break_send, self.break_receive, self.end_at, self.mute = break_send, break_receive, end_at, mute
        self.sent_at: list[float] = []
        self.cancelled = False

    async def send(self, sequence: int, data: RuntimeData) -> None:
        self.sent_at.append(SYSTEM_CLOCK.now())
        if sequence == self.break_send:
            raise StreamBroken("send")
        if not self.mute:
            self.answers.put_nowait(None if sequence == self.end_at else (sequence, {"output": data}))

    async def receive(self) -> tuple[int, Mapping[str, RuntimeData]] | None:
        answer = await self.answers.get()
        if answer and answer[0] == self.break_receive:
            raise StreamBroken("receive")
        return answer

    async def finish(self) -> None:
        self.answers.put_nowait(None)

    def cancel(self) -> None:
        self.cancelled = True


class Subject:
    def __init__(self, stream: EchoStream | Exception) -> None:
        self.stream = stream
        self.operation: SubjectOperation | None = None

    async def execute(self, operation: SubjectOperation) -> Mapping[str, RuntimeData]:
        raise NotImplementedError

    async def open_stream(self, operation: SubjectOperation) -> EchoStream:
        self.operation = operation
        if isinstance(self.stream, Exception):
            raise self.stream
        return self.stream

    def in_flight(self) -> int | None:
        return None

    async def close(self) -> None: ...


async def run(
    opened: EchoStream | Exception, *, chunks: int = 5, timeout_s: float = 1.0
) -> tuple[Events, Subject]:
    history, subject = Events(), Subject(opened)
    load = Load(subject, history, SYSTEM_CLOCK, SYSTEM_CLOCK.now(), "node")
    await run_load(
        load,
        WorkloadPlan("talk", "stream", (0.0,), timeout_s, chunk_ms=10, chunks=chunks),
        stream,
        Speech(10),
    )
    assert len(history.of("operation.end")) == 1
    assert asyncio.all_tasks() == {asyncio.current_task()}
    return history, subject


async def test_chunks_are_paced_and_every_answer_is_told() -> None:
    opened = EchoStream()
    history, subject = await run(opened)
    sent, answered = history.of("chunk.sent"), history.of("chunk.answered")
    assert [line["seq"] for line in sent] == [line["seq"] for line in answered] == [0, 1, 2, 3, 4]
    assert [line["hash"] for line in sent] == [line["hash"] for line in answered]
    assert len({line["hash"] for line in sent}) == 5
    assert opened.sent_at[-1] - opened.sent_at[0] >= 0.03  # 0.04 planned; the first one may be late
    assert sent[4]["due_s"] - sent[0]["due_s"] == pytest.approx(0.04)
    assert all(0 <= line["latency_s"] < 0.5 for line in answered)
    assert history.of("operation.end")[0]["outcome"] == "ok"
    assert subject.operation is not None
    assert subject.operation.timeout_s == pytest.approx(1.05)
    assert not opened.cancelled


@pytest.mark.parametrize(
    "settings", [{"break_send": 2}, {"break_receive": 2}, {"break_send": 1, "mute": True}]
)
async def test_a_break_on_either_side_ends_the_session_and_gives_it_up(settings: dict[str, Any]) -> None:
    opened = EchoStream(**settings)
    history, _ = await run(opened, chunks=50)
    (end,) = history.of("operation.end")
    assert (end["outcome"], end["code"]) == ("maybe", "stream_broken")
    assert len(history.of("chunk.sent")) < 50
    assert opened.cancelled


async def test_an_end_before_all_was_sent_is_no_success() -> None:
    opened = EchoStream(end_at=2)
    history, _ = await run(opened, chunks=50)
    (end,) = history.of("operation.end")
    assert (end["outcome"], end["code"]) == ("failed", "ended_early")
    assert opened.cancelled


async def test_a_session_that_cannot_be_opened_fails() -> None:
    history, _ = await run(RemoteUnavailable("no"))
    assert history.of("operation.end")[0]["code"] == "remote_unavailable"
    assert history.of("chunk.sent") == []


async def test_a_session_that_never_answers_overruns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_module, "GRACE_S", 0.02)

    class Deaf(EchoStream):
        async def finish(self) -> None: ...

    opened = Deaf(mute=True)
    history, _ = await run(opened, chunks=2, timeout_s=0.02)
    assert history.of("operation.end")[0]["code"] == "overran"
    assert opened.cancelled


async def test_a_cancelled_session_is_given_up_and_has_its_end() -> None:
    opened, history = EchoStream(mute=True), Events()
    load = Load(Subject(opened), history, SYSTEM_CLOCK, SYSTEM_CLOCK.now(), "node")
    plan = WorkloadPlan("talk", "stream", (0.0,), 1.0, chunk_ms=10, chunks=100)
    task = asyncio.create_task(run_load(load, plan, stream, Speech(10)))
    await asyncio.sleep(0.03)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [line["code"] for line in history.of("operation.end")] == ["cancelled"]
    assert opened.cancelled
    assert asyncio.all_tasks() == {asyncio.current_task()}
