"""Streaming sessions: chunks are sent at their pace, and answers received at the same time."""

from __future__ import annotations

import asyncio

from rpe.chaos.hashes import data_hash
from rpe.chaos.subject import SubjectOperation, SubjectStream
from rpe.chaos.workload.ends import End, ended_early, raised
from rpe.chaos.workload.load import Load
from rpe.chaos.workload.plan import WorkloadPlan
from rpe.data import RuntimeData, content_hash
from rpe.policy.outcome import OperationOutcome

__all__ = ["stream"]


async def stream(
    load: Load, workload: WorkloadPlan, operation: SubjectOperation, pieces: list[RuntimeData]
) -> End:
    """Open a session, pace the pieces into it, and receive until it has ended.

    A session that reports a normal end before all was sent has been cut, and counts as
    failed. Whatever ends it, the session is given up (cancelled) or complete on return.
    """
    session = _Session(load, operation, pieces, workload.chunk_ms / 1000)
    try:
        opened = await load.subject.open_stream(operation)
    except Exception as error:
        return raised(error, load.names)
    try:
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(session.send_all(opened), name=f"{operation.op}-send")
            try:
                await session.receive_all(opened)
                if not session.finished:
                    sending.cancel()
            finally:
                # A cancelled task keeps its error out of the collector's sight, and that error the
                # client's frames: an error that keeps this frame would keep a connection for ever.
                del sending
    except ExceptionGroup as group:
        return raised(_first(group), load.names)
    finally:
        if not session.complete:
            opened.cancel()
    return session.end()


class _Session:
    """What has been sent and answered in one session."""

    def __init__(
        self, load: Load, operation: SubjectOperation, pieces: list[RuntimeData], pace_s: float
    ) -> None:
        self._load = load
        self._op = operation.op
        self._pieces = pieces
        self._pace_s = pace_s
        self._due_s: dict[int, float] = {}
        self.finished = False
        self.complete = False

    async def send_all(self, opened: SubjectStream) -> None:
        """Send each chunk when it is due, counted from now, and then say that no more follow."""
        load = self._load
        first_due_s = load.now_s()
        for sequence, data in enumerate(self._pieces):
            due_s = first_due_s + sequence * self._pace_s
            await load.clock.sleep_until(load.origin_s + due_s)
            self._due_s[sequence] = due_s
            load.record("chunk.sent", op=self._op, seq=sequence, hash=content_hash(data), due_s=due_s)
            await opened.send(sequence, data)
        self.finished = True
        await opened.finish()

    async def receive_all(self, opened: SubjectStream) -> None:
        """Receive until the session has ended, as its client says."""
        load = self._load
        while (answer := await opened.receive()) is not None:
            sequence, outputs = answer
            # An answer to nothing that was sent has no latency; the checks see what it is.
            due_s = self._due_s.get(sequence)
            latency_s = None if due_s is None else load.now_s() - due_s
            load.record(
                "chunk.answered", op=self._op, seq=sequence, hash=data_hash(outputs), latency_s=latency_s
            )
        self.complete = self.finished

    def end(self) -> End:
        """How the session ended, after it did so without an error."""
        if not self.complete:
            return ended_early(len(self._due_s), len(self._pieces))
        return End(OperationOutcome.OK)


def _first(group: ExceptionGroup[Exception]) -> Exception:
    """The first plain error of a group: the sending and the receiving side report the same break."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, ExceptionGroup) else error
