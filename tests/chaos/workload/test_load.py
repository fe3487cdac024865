"""Open loop: exact counts, latency from the intended start, and exactly one end per operation."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from rpe.chaos.subject import SubjectOperation, SubjectStream
from rpe.chaos.workload import load as load_module
from rpe.chaos.workload.load import Load, run_load
from rpe.chaos.workload.plan import WorkloadPlan
from rpe.chaos.workload.texts import Texts
from rpe.chaos.workload.unary import unary
from rpe.clock import SYSTEM_CLOCK
from rpe.data import RuntimeData, Text, content_hash
from rpe.errors import ConnectFailed, ConnectionLost, RemoteTimeout
from tests.support.chaos import Events


class Subject:
    """A client made of one function."""

    def __init__(self, execute: Callable[[SubjectOperation], Awaitable[Mapping[str, RuntimeData]]]) -> None:
        self._execute = execute
        self.operations: list[SubjectOperation] = []

    async def execute(self, operation: SubjectOperation) -> Mapping[str, RuntimeData]:
        self.operations.append(operation)
        return await self._execute(operation)

    async def open_stream(self, operation: SubjectOperation) -> SubjectStream:
        raise NotImplementedError

    def in_flight(self) -> int | None:
        return None

    async def close(self) -> None: ...


async def echo(operation: SubjectOperation) -> Mapping[str, RuntimeData]:
    return {"output": operation.inputs["node"]}


def plan(*due_s: float, timeout_s: float = 1.0, **settings: Any) -> WorkloadPlan:
    return WorkloadPlan("calls", "unary", due_s, timeout_s, input="text", **settings)


def load(subject: Subject, history: Events, **settings: Any) -> Load:
    return Load(subject, history, SYSTEM_CLOCK, SYSTEM_CLOCK.now(), "node", **settings)


async def test_every_operation_starts_when_due_and_ends_once() -> None:
    history, subject = Events(), Subject(echo)
    running = load(subject, history)
    await run_load(running, plan(*(n / 200 for n in range(20))), unary, Texts())
    starts, ends = history.of("operation.start"), history.of("operation.end")
    assert [line["op"] for line in starts] == [f"calls-{n}" for n in range(20)]
    assert Counter(line["op"] for line in ends) == Counter(line["op"] for line in starts)
    assert {line["outcome"] for line in ends} == {"ok"}
    assert {line["op"]: line["response_hash"] for line in ends} == {
        line["op"]: line["request_hash"] for line in starts
    }
    assert len({line["request_hash"] for line in starts}) == 20
    assert (running.tally.started, running.tally.ok, running.tally.running) == (20, 20, 0)
    assert [op.timeout_s for op in subject.operations] == [1.0] * 20


async def test_a_slow_client_does_not_slow_its_load_and_latency_counts_from_the_intended_start() -> None:
    async def slow(operation: SubjectOperation) -> Mapping[str, RuntimeData]:
        await asyncio.sleep(0.1)
        return await echo(operation)

    history = Events()
    running = load(Subject(slow), history)
    began = SYSTEM_CLOCK.now()
    await run_load(running, plan(*(n / 100 for n in range(10))), unary, Texts())
    # A closed loop would take a whole second.
    assert SYSTEM_CLOCK.now() - began < 0.6
    assert all(line["latency_s"] >= 0.1 for line in history.of("operation.end"))


async def test_a_late_start_is_charged_to_the_operation() -> None:
    history = Events()
    running = Load(Subject(echo), history, SYSTEM_CLOCK, SYSTEM_CLOCK.now() - 0.5, "node")
    await run_load(running, plan(0.0, 0.1), unary, Texts())
    first, second = (line["latency_s"] for line in history.of("operation.end"))
    assert first >= 0.5
    assert 0.4 <= second <= first


async def test_arrivals_beyond_the_cap_are_missed_and_counted() -> None:
    release = asyncio.Event()

    async def held(operation: SubjectOperation) -> Mapping[str, RuntimeData]:
        await release.wait()
        return await echo(operation)

    history = Events()
    running = load(Subject(held), history, max_running=3)
    asyncio.get_running_loop().call_later(0.05, release.set)
    await run_load(running, plan(*[0.0] * 8, 0.1), unary, Texts())
    assert [line["op"] for line in history.of("operation.missed")] == [f"calls-{n}" for n in range(3, 8)]
    assert {line["op"] for line in history.of("operation.end")} == {
        "calls-0",
        "calls-1",
        "calls-2",
        "calls-8",
    }
    assert (running.tally.missed, running.tally.started) == (5, 4)


async def test_an_operation_that_overruns_is_cancelled_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_module, "GRACE_S", 0.02)
    cancelled: list[str] = []

    async def hang(operation: SubjectOperation) -> Mapping[str, RuntimeData]:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.append(operation.op)
            if operation.op == "calls-1":
                raise ConnectionLost("cancelled, says the client") from None
            raise
        return {}

    history = Events()
    await run_load(load(Subject(hang), history), plan(0.0, 0.0, timeout_s=0.02), unary, Texts())
    assert sorted(cancelled) == ["calls-0", "calls-1"]
    assert [(line["outcome"], line["code"]) for line in history.of("operation.end")] == [
        ("failed", "overran")
    ] * 2


@pytest.mark.parametrize(
    ("error", "outcome", "code", "kind", "endpoint"),
    [
        (ConnectFailed("no", endpoint="127.0.0.1:9"), "failed", "connect_failed", "network", "a"),
        (RemoteTimeout("slow", endpoint="127.0.0.1:9"), "maybe", "remote_timeout", "timeout", "a"),
        (RemoteTimeout("slow", maybe_executed=False), "failed", "remote_timeout", "timeout", None),
        (ZeroDivisionError("127.0.0.1:9 token=abc"), "maybe", "ZeroDivisionError", "", None),
    ],
)
async def test_errors_are_read_by_their_own_words(
    error: Exception, outcome: str, code: str, kind: str, endpoint: str | None
) -> None:
    async def fail(operation: SubjectOperation) -> Mapping[str, RuntimeData]:
        raise error

    history = Events()
    await run_load(load(Subject(fail), history, names={"127.0.0.1:9": "a"}), plan(0.0), unary, Texts())
    (end,) = history.of("operation.end")
    assert (end["outcome"], end["code"], end["error_kind"], end["endpoint"]) == (
        outcome,
        code,
        kind,
        endpoint,
    )
    assert "127.0.0.1" not in end["message"]
    assert "abc" not in end["message"]


async def test_a_grpc_error_goes_by_the_name_of_its_status() -> None:
    class Status:
        name = "UNAVAILABLE"

    class AioRpcError(Exception):
        def code(self) -> Status:
            return Status()

    async def fail(operation: SubjectOperation) -> Mapping[str, RuntimeData]:
        raise AioRpcError("gone")

    history = Events()
    await run_load(load(Subject(fail), history), plan(0.0), unary, Texts())
    assert history.of("operation.end")[0]["code"] == "UNAVAILABLE"


async def test_cancelling_the_load_ends_every_running_operation_once() -> None:
    async def hang(operation: SubjectOperation) -> Mapping[str, RuntimeData]:
        await asyncio.sleep(30)
        return {}

    history = Events()
    running = load(Subject(hang), history)
    task = asyncio.create_task(run_load(running, plan(0.0, 0.0, 0.0, 20.0), unary, Texts()))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert Counter(line["op"] for line in history.of("operation.end")) == Counter(
        ["calls-0", "calls-1", "calls-2"]
    )
    assert {line["code"] for line in history.of("operation.end")} == {"cancelled"}
    assert running.tally.running == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_what_the_client_reported_of_an_operation_stands_in_its_end() -> None:
    history = Events()
    running = load(Subject(echo), history, attempts=lambda op: (3, "b"))
    await run_load(running, plan(0.0), unary, Texts())
    (end,) = history.of("operation.end")
    assert (end["attempts"], end["endpoint"]) == (3, "b")
    assert end["response_hash"] == content_hash(Text("0: he was not an ill disposed young man"))
