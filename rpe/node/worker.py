"""One node at work: from its queue through the node to the queues after it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from rpe.clock import Clock
from rpe.data import Json, RuntimeData
from rpe.errors import DataValidationError
from rpe.node.channel import Channel
from rpe.node.contract import NodeCall, PipelineNode
from rpe.node.errors import NodeFailed
from rpe.node.kinds import named
from rpe.node.metrics import Meter
from rpe.node.plan import Step

__all__ = ["ERROR_SCHEMA", "Outlet", "Worker", "error_item"]

ERROR_SCHEMA = "rpe.node_error"
"""The schema type of what comes out of an error port."""

Outlet = Callable[[RuntimeData], Awaitable[None]]


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
        inbox: where the node's input comes from.
        targets: the queues after it, one for each connection.
        error_targets: the queues of its error ports.
        leave: takes what leaves the pipeline here, where the node is an output.
    """

    def __init__(
        self,
        step: Step,
        inbox: Channel[RuntimeData],
        targets: Sequence[Channel[RuntimeData]],
        error_targets: Sequence[Channel[RuntimeData]],
        leave: Outlet | None,
        meter: Meter,
        clock: Clock,
    ) -> None:
        self._step = step
        self._inbox = inbox
        self._targets = targets
        self._error_targets = error_targets
        self._leave = leave
        self._meter = meter
        self._clock = clock
        self._waited_s = 0.0

    async def run(self) -> None:
        """Work until the input has ended. Raises NodeFailed. The node is closed in any case."""
        step = self._step
        try:
            node = step.node_type.make(NodeCall(step.node_id, step.settings, self._clock))
        except Exception as error:
            self._meter.errors += 1
            raise NodeFailed(step.node_id, error) from error
        try:
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

    async def _take(self, node: PipelineNode, data: RuntimeData) -> None:
        if data.kind == "control" and "control" not in self._step.takes:
            await self._deliver(data)
            return
        self._meter.items_in += 1
        if data.kind in self._step.takes:
            self._meter.item_took(await self._attempt(node.process(data, self._emit), data))
        else:
            error = DataValidationError(
                f"takes {named(self._step.takes)}, not {data.kind}", hint="mend what feeds this node"
            )
            await self._failed(error, data)

    async def _attempt(self, call: Awaitable[None], data: RuntimeData | None) -> float:
        """Await a call of the node, and return the seconds it took without its waits for room."""
        started_s, self._waited_s = self._clock.now(), 0.0
        failure: BaseException | None = None
        try:
            await call
        except asyncio.CancelledError as error:
            failure = error
        except Exception as error:
            failure = error
        busy_s = max(self._clock.now() - started_s - self._waited_s, 0.0)
        self._meter.busy_s += busy_s
        if _being_cancelled():
            # Also where the node has swallowed it: nobody feeds this worker any more.
            raise failure if isinstance(failure, asyncio.CancelledError) else asyncio.CancelledError
        if failure is not None:
            await self._failed(failure, data)
        return busy_s

    async def _failed(self, cause: BaseException, data: RuntimeData | None) -> None:
        self._meter.errors += 1
        failure = NodeFailed(self._step.node_id, cause)
        if not self._error_targets:
            raise failure from cause
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


def _being_cancelled() -> bool:
    """Whether this task was asked to end: a node may raise CancelledError for reasons of its own."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
