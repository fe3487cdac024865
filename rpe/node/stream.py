"""One run of a pipeline: data is sent into it and its outputs are read while it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple, Self

from rpe.data import RuntimeData
from rpe.errors import ConfigurationError, SessionClosed
from rpe.node.channel import Channel
from rpe.node.context import RunContext
from rpe.node.contract import NodeCall
from rpe.node.plan import Plan, Step
from rpe.node.resources import Resources, Shelf
from rpe.node.worker import Outlet, Worker

__all__ = ["Output", "PipelineStream"]


@dataclass(frozen=True, slots=True)
class Output:
    """What left the pipeline, and the id of the output node that gave it."""

    node: str
    data: RuntimeData


class Ends(NamedTuple):
    """What a worker stands between: its input, the queues after it, those of its error ports, the way out."""

    inbox: Any
    targets: Sequence[Any]
    error_targets: Sequence[Any]
    leave: Outlet | None


class PipelineStream:
    """A run of a pipeline, as an async context manager and an async iterator of its outputs.

    Inside, `send` and `finish` feed it, and iterating gives `Output`s until everything that was
    sent has come through. Queues are bounded: `send` waits while the pipeline is full, so whoever
    sends more than fits must read in another task meanwhile.

    A failure is raised by every call from then on (iterating first gives what was ready), and on
    leaving where no call has raised it. On leaving, in whatever way, all nodes are cancelled and
    closed before it returns.

    Made by `PipelineRunner.stream`; entered once.
    """

    def __init__(
        self,
        plan: Plan,
        shelf: Shelf,
        resources: Resources | None,
        context: RunContext,
        queue_size: int,
        feed: Iterable[tuple[str, RuntimeData]] | None = None,
    ) -> None:
        self._plan = plan
        self._shelf = shelf
        self._resources = resources
        self._context = context
        self._own_resources: Resources | None = None
        self._entered = False
        self._feed = feed
        self._finished = False
        self._failure: BaseException | None = None
        self._told = False
        self._owner: asyncio.Task[None] | None = None
        self._outputs = Channel[Any](queue_size, writers=1)
        # Besides what leads to it, each node is fed from outside until `finish`.
        self._inboxes = {
            step.node_id: Channel[Any](queue_size, step.sources + 1) for step in plan.steps.values()
        }

    async def __aenter__(self) -> Self:
        if self._entered:
            raise SessionClosed("a stream is entered once", hint="ask the runner for another one")
        self._entered = True
        resources = self._resources
        if resources is None and any(step.node_type.open for step in self._plan.steps.values()):
            resources = self._own_resources = Resources(self._shelf)
            await resources.open()
        shared = {} if resources is None else resources.shared
        workers = [self._worker(step, shared.get(step.node_id)) for step in self._plan.steps.values()]
        self._owner = asyncio.create_task(self._own(workers), name="pipeline")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._owner is not None
        self._owner.cancel()
        cancelled: asyncio.CancelledError | None = None
        while not self._owner.done():
            try:
                await asyncio.wait([self._owner])
            except asyncio.CancelledError as late:
                cancelled = late  # nodes are closing: they are waited for all the same
        self._shut()
        if self._own_resources is not None:
            await self._own_resources.close()
        if cancelled is not None:
            raise cancelled
        if error is None and self._failure is not None and not self._told:
            raise self._failure

    async def send(self, data: RuntimeData, node_id: str = "") -> None:
        """Hand data to a node, by default to the one that takes the pipeline's input; waits for room.

        Raises ConfigurationError for an unknown node, SessionClosed after `finish` or outside of
        the context, NodeFailed where the pipeline has failed.
        """
        await self._put(data, node_id)

    async def _put(self, item: Any, node_id: str) -> None:
        inbox = self._inbox(node_id)
        if self._owner is None:
            raise SessionClosed("the stream is not open", hint="enter it with `async with`")
        if self._finished and self._failure is None:
            raise SessionClosed("the stream was finished: it takes no more input")
        try:
            await inbox.put(item)
        except BaseException as error:
            self._told = self._told or error is self._failure
            raise

    async def finish(self) -> None:
        """Say that no more input comes; the nodes flush in order. Doing it again changes nothing."""
        if not self._finished:
            self._finished = True
            for inbox in self._inboxes.values():
                inbox.end()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Output:
        if self._owner is None:
            raise SessionClosed("the stream is not open", hint="enter it with `async with`")
        try:
            output: Output | None = await self._outputs.get()
        except BaseException as error:
            self._told = self._told or error is self._failure
            raise
        if output is None:
            raise StopAsyncIteration
        return output

    def _worker(self, step: Step, shared: Any) -> Worker:
        shelf = self._shelf
        return Worker(
            step,
            NodeCall(step.node_id, step.settings, shelf.clock, self._context, shared),
            *self._ends(step),
            shelf.meters[step.node_id],
        )

    def _ends(self, step: Step) -> Ends:
        return Ends(
            self._inboxes[step.node_id],
            [self._inboxes[target] for target in step.targets],
            [self._inboxes[target] for target in step.error_targets],
            self._leave(step),
        )

    async def _own(self, workers: list[Worker]) -> None:
        """Hold all tasks of the run, and let everybody know how it ended."""
        try:
            async with asyncio.TaskGroup() as group:
                for worker in workers:
                    group.create_task(worker.run(), name=f"node {worker.node_id}")
                if self._feed is not None:
                    group.create_task(self._feed_all(self._feed), name="pipeline input")
        except BaseExceptionGroup as errors:
            self._failure = errors.exceptions[0]  # the first in time: the others were cancelled for it
            self._shut()
        else:
            self._outputs.end()

    def _shut(self) -> None:
        failure = self._failure or SessionClosed("the stream was left")
        self._outputs.fail(failure)
        for inbox in self._inboxes.values():
            inbox.fail(failure)

    async def _feed_all(self, feed: Iterable[tuple[str, RuntimeData]]) -> None:
        for node_id, data in feed:
            await self._inbox(node_id).put(data)
        await self.finish()

    def _inbox(self, node_id: str) -> Channel[RuntimeData]:
        inbox = self._inboxes.get(node_id or self._plan.entry)
        if inbox is None:
            raise ConfigurationError(
                f"there is no node {node_id!r} to take the input", hint=f"nodes: {', '.join(self._inboxes)}"
            )
        return inbox

    def _leave(self, step: Step) -> Outlet | None:
        async def leave(data: RuntimeData) -> None:
            await self._outputs.put(Output(step.node_id, data))

        return leave if step.is_output else None
