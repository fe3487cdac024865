"""Open loop: operations start when they are due, whatever became of the earlier ones.

A closed loop waits for an answer before it asks again, so a server that hangs is asked
less and looks better than it is (coordinated omission). Here the instants are planned,
latency is counted from them, and an arrival that cannot be started is counted as missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from rpe.chaos.hashes import data_hash
from rpe.chaos.subject import Subject, SubjectOperation
from rpe.chaos.workload.ends import CANCELLED, End, overran
from rpe.chaos.workload.inputs import Pieces
from rpe.chaos.workload.plan import WorkloadPlan
from rpe.clock import Clock
from rpe.data import RuntimeData
from rpe.policy.outcome import OperationOutcome

__all__ = ["GRACE_S", "MAX_RUNNING", "Load", "Operate", "Tally", "run_load"]

MAX_RUNNING = 1000
"""How many operations may run at once, over all workloads of a run."""

GRACE_S = 1.0
"""How long beyond its deadline an operation may run before it is cancelled from outside."""


@dataclass(slots=True)
class Tally:
    """What a run's load has come to so far."""

    running: int = 0
    started: int = 0
    ok: int = 0
    failed: int = 0
    missed: int = 0


@dataclass(frozen=True)
class Load:
    """What the operations of a run share.

    Arguments:
        subject: the client under test.
        record: takes the name of an event and its fields.
        clock, origin_s: the clock, and the moment on it when the run began.
        input_name: the node that takes the input.
        names: addresses to names of servers.
        expected: the hash of the answer to each request, by its own hash, where it is known beforehand.
        attempts: says how many attempts an operation took and where the last one went, where that is known.
        max_running: how many operations may run at once.
        tally: counts what happens.
    """

    subject: Subject
    record: Callable[..., None]
    clock: Clock
    origin_s: float
    input_name: str
    names: Mapping[str, str] = field(default_factory=dict)
    expected: Mapping[str, str] = field(default_factory=dict)
    attempts: Callable[[str], tuple[int | None, str | None]] = lambda op: (None, None)
    max_running: int = MAX_RUNNING
    tally: Tally = field(default_factory=Tally)

    def now_s(self) -> float:
        """Seconds since the run began."""
        return self.clock.now() - self.origin_s


@dataclass(frozen=True)
class _Operation:
    """One operation that is due."""

    workload: WorkloadPlan
    number: int
    due_s: float

    @property
    def op(self) -> str:
        return f"{self.workload.name}-{self.number}"


class Operate(Protocol):
    """How one kind of operation is done: returns its end; raises nothing but cancellation."""

    async def __call__(
        self, load: Load, workload: WorkloadPlan, operation: SubjectOperation, pieces: list[RuntimeData]
    ) -> End:
        """Do one operation."""
        ...


async def run_load(load: Load, workload: WorkloadPlan, operate: Operate, pieces: Pieces) -> None:
    """Start every operation of a workload when it is due, and wait until all have ended.

    Cancelling it cancels the operations that run; each of them still gets its end in the
    history. Operations that were not due yet leave no trace.
    """
    async with asyncio.TaskGroup() as tasks:
        for number, due_s in enumerate(workload.due_s):
            await load.clock.sleep_until(load.origin_s + due_s)
            operation = _Operation(workload, number, due_s)
            if load.tally.running >= load.max_running:
                load.tally.missed += 1
                reason = f"{load.tally.running} operations were running already"
                load.record("operation.missed", op=operation.op, due_s=due_s, reason=reason)
                continue
            first = number * workload.chunks
            data = [pieces.piece(first + index) for index in range(workload.chunks)]
            load.tally.running += 1
            load.tally.started += 1
            tasks.create_task(_run_operation(load, operation, operate, data), name=operation.op)


async def _run_operation(
    load: Load, operation: _Operation, operate: Operate, data: list[RuntimeData]
) -> None:
    """Run one operation and write its end exactly once, whatever ends it."""
    workload, op, tally = operation.workload, operation.op, load.tally
    timeout_s = workload.operation_timeout_s
    inputs = {load.input_name: data[0]}
    end = CANCELLED
    request_hash = data_hash(inputs) if workload.kind == "unary" else None
    load.record(
        "operation.start",
        op=op,
        workload=workload.name,
        kind=workload.kind,
        due_s=operation.due_s,
        timeout_s=timeout_s,
        repeatable=workload.repeatable,
        request_hash=request_hash,
        expected_hash=load.expected.get(request_hash or ""),
    )
    try:
        limit_s = load.clock.now() + timeout_s + GRACE_S
        request = SubjectOperation(op, inputs, timeout_s, workload.repeatable)
        try:
            async with load.clock.deadline(limit_s):
                end = await operate(load, workload, request, data)
        except TimeoutError:
            end = overran(timeout_s + GRACE_S)
        else:
            # A client that turns the cancellation into an error of its own has overrun all the same.
            if load.clock.now() >= limit_s:
                end = overran(timeout_s + GRACE_S)
    finally:
        tally.running -= 1
        if end.outcome is OperationOutcome.OK:
            tally.ok += 1
        else:
            tally.failed += 1
        attempts, endpoint = load.attempts(op)
        fields: dict[str, Any] = end.as_fields()
        fields["endpoint"] = endpoint or end.endpoint
        latency_s = load.now_s() - operation.due_s
        load.record("operation.end", op=op, **fields, latency_s=latency_s, attempts=attempts)
