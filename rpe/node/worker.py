"""One node at work: from its queue through the node to the queues after it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Protocol

from rpe.data import Json, RuntimeData
from rpe.errors import DataValidationError
from rpe.node.contract import NodeCall, PipelineNode, SelfDrivenNode
from rpe.node.errors import NodeFailed
from rpe.node.kinds import named
from rpe.node.metrics import Meter
from rpe.node.plan import Step

__all__ = ["ERROR_SCHEMA", "Inlet", "Outlet", "Target", "Worker", "error_item"]

ERROR_SCHEMA = "rpe.node_error"
"""The schema type of what comes out of an error port."""

Outlet = Callable[[RuntimeData], Awaitable[None]]


class Inlet(Protocol):
    """Where the input of a node comes from, such as a `Channel`."""

    async def get(self) -> RuntimeData | None:
        """Return the next item; None after the last one."""
        ...


class Target(Protocol):
    """Where the outputs of a node go, such as a `Channel`."""

    async def put(self, item: RuntimeData, /) -> None:
        """Hand an item on, waiting for room."""
        ...

    def end(self) -> None:
        """Say that nothing more comes from here."""
        ...


class _Cancelled(Exception):
    """A node raised CancelledError for reasons of its own; its cause is that error."""


def error_item(failure: NodeFailed, data: RuntimeData | None) -> Json:
    """What an error port gives: who failed, how, and on what kind of data (null: not on an item).

    The metadata of that item goes along.
    """
    value = {
        "node": failure.node,
        "kind": failure.kind.value,
        "message": failure.message,
        "retryable": failure.retryable,
        "maybe_executed": failure.maybe_executed,
        "data_kind": None if data is None else data.kind,
    }
    return Json(value, ERROR_SCHEMA, {} if data is None else data.metadata)


class Worker:
    """Makes one node, feeds it until its queue ends, flushes it and closes it.

    A failure of the node goes to its error ports where it has any, and the node goes on with the
    next item; what it gave before it failed stays given. Otherwise `run` raises NodeFailed.

    Arguments:
        call: what the node is made with.
        inbox: where the node's input comes from.
        targets: the queues after it, one for each connection.
        error_targets: the queues of its error ports.
        leave: takes what leaves the pipeline here, where the node is an output.
    """

    def __init__(
        self,
        step: Step,
        call: NodeCall,
        inbox: Inlet,
        targets: Sequence[Target],
        error_targets: Sequence[Target],
        leave: Outlet | None,
        meter: Meter,
    ) -> None:
        self.node_id = step.node_id
        self._step = step
        self._call = call
        self._inbox = inbox
        self._targets = targets
        self._error_targets = error_targets
        self._leave = leave
        self._meter = meter
        self._clock = call.clock
        self._waited_s = 0.0
        self._taken = 0  # by this run alone, unlike what the meter counts
        self._input_ended = False
        self._fatal: NodeFailed | None = None

    async def run(self) -> None:
        """Work until the input has ended. Raises NodeFailed. The node is closed in any case."""
        try:
            node = self._step.node_type.make(self._call)
        except Exception as error:
            self._meter.errors += 1
            raise NodeFailed(self.node_id, error) from error
        try:
            if isinstance(node, SelfDrivenNode):
                await self._let_run(node)
            else:
                while (data := await self._inbox.get()) is not None:
                    await self._take(node, data)
                await self._attempt(node.flush(self._emit), None)
        except BaseException:
            # What ended the work is what its reader must hear of, whatever closing adds to it.
            with suppress(Exception):
                await node.close()
            raise
        await self._attempt(node.close(), None)
        for channel in (*self._targets, *self._error_targets):
            channel.end()

    async def _let_run(self, node: SelfDrivenNode) -> None:
        """Let a node take its input itself; after a failure that an error port takes, the rest of it."""
        while not self._input_ended:
            before = self._taken
            failure: Exception | None = None
            try:
                await self._guarded(node.run(_Items(self._next), self._emit))
            except Exception as error:
                failure = error
            if self._fatal is not None:
                raise self._fatal  # whatever the node made of it
            if failure is not None:
                data = None
                if self._taken == before:
                    # It failed without taking anything: the next item is lost to it, or this had no end.
                    data = await self._next()
                await self._failed(failure, data)
            else:
                while await self._next() is not None:
                    pass  # it wants no more, but those that feed it must not wait for it

    async def _next(self) -> RuntimeData | None:
        """The next item for a node that drives itself; what is not for it goes where it belongs."""
        while (data := await self._inbox.get()) is not None:
            if data.kind == "control" and "control" not in self._step.takes:
                await self._deliver(data)
                continue
            self._taken += 1
            self._meter.items_in += 1
            if data.kind in self._step.takes:
                return data
            await self._failed(self._refused(data), data)
        self._input_ended = True
        return None

    async def _take(self, node: PipelineNode, data: RuntimeData) -> None:
        if data.kind == "control" and "control" not in self._step.takes:
            await self._deliver(data)
            return
        self._meter.items_in += 1
        if data.kind in self._step.takes:
            self._meter.item_took(await self._attempt(node.process(data, self._emit), data))
        else:
            await self._failed(self._refused(data), data)

    def _refused(self, data: RuntimeData) -> DataValidationError:
        return DataValidationError(
            f"takes {named(self._step.takes)}, not {data.kind}", hint="mend what feeds this node"
        )

    async def _attempt(self, call: Awaitable[None], data: RuntimeData | None) -> float:
        """Await a call of the node, and return the seconds it took without its waits for room."""
        started_s, self._waited_s = self._clock.now(), 0.0
        failure: Exception | None = None
        try:
            await self._guarded(call)
        except Exception as error:
            failure = error
        finally:
            busy_s = max(self._clock.now() - started_s - self._waited_s, 0.0)
            self._meter.busy_s += busy_s
        if failure is not None:
            await self._failed(failure, data)
        return busy_s

    async def _guarded(self, call: Awaitable[None]) -> None:
        """Await a call of the node: it raises CancelledError where this task was cancelled, and only then."""
        failure: BaseException | None = None
        try:
            await call
        except asyncio.CancelledError as error:
            failure = error
        except Exception as error:
            failure = error
        if _being_cancelled():
            # Also where the node has swallowed it: nobody feeds this worker any more.
            raise failure if isinstance(failure, asyncio.CancelledError) else asyncio.CancelledError
        if isinstance(failure, asyncio.CancelledError):
            raise _Cancelled from failure
        if failure is not None:
            raise failure

    async def _failed(self, cause: Exception, data: RuntimeData | None) -> None:
        self._meter.errors += 1
        known = cause.__cause__ if isinstance(cause, _Cancelled) and cause.__cause__ else cause
        failure = NodeFailed(self.node_id, known)
        if not self._error_targets:
            self._fatal = failure
            raise failure from known
        item = error_item(failure, data)
        for channel in self._error_targets:
            await channel.put(item)

    async def _emit(self, data: RuntimeData) -> None:
        given = getattr(data, "kind", None) or type(data).__name__  # a node may give anything
        if given not in self._step.gives:
            raise DataValidationError(
                f"gives {named(self._step.gives)}, not {given}",
                hint="mend this node, or what its type declares",
            )
        self._meter.items_out += 1
        await self._deliver(data)

    async def _deliver(self, data: RuntimeData) -> None:
        """Put an output into every queue after this node, waiting for room in one after the other."""
        started_s = self._clock.now()
        for channel in self._targets:
            await channel.put(data)
        if self._leave is not None:
            await self._leave(data)
        self._waited_s += self._clock.now() - started_s


class _Items:
    """The input of a node that drives itself. An iterator and no generator: leaving it early is no event."""

    def __init__(self, following: Callable[[], Awaitable[RuntimeData | None]]) -> None:
        self._following = following

    def __aiter__(self) -> AsyncIterator[RuntimeData]:
        return self

    async def __anext__(self) -> RuntimeData:
        data = await self._following()
        if data is None:
            raise StopAsyncIteration
        return data


def _being_cancelled() -> bool:
    """Whether this task was asked to end: a node may raise CancelledError for reasons of its own."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
