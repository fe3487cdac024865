"""A run that tells which input each of its outputs belongs to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, cast

from rpe.data import RuntimeData
from rpe.node.channel import Channel
from rpe.node.marks import answered, take
from rpe.node.plan import Step
from rpe.node.stream import Ends, PipelineStream

__all__ = ["Settled", "TaggedOutput", "TaggedStream"]


class TaggedOutput(NamedTuple):
    """What left the pipeline, where, and the tag of the input it belongs to; None where no input made it."""

    node: str
    data: RuntimeData
    tag: int | None


class Settled(NamedTuple):
    """No node works any more on what comes from the inputs with this tag."""

    tag: int


class _Item(NamedTuple):
    data: RuntimeData
    tag: int | None


class TaggedStream(PipelineStream):
    """A `PipelineStream` whose inputs have tags, which their outputs are given too.

    What a node gives has the tag of the item that it took last. So one that makes several items of
    one, or one of several, gives under the tag of the item that made it give. One that drives itself
    may answer an earlier one, and says so (`rpe.node.marks`); it has done with an item when it takes
    the next.

    Iterating gives `TaggedOutput`s, and `Settled` for each tag, after the outputs that have it. Only
    what nodes hold back until their input ends may come later still.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._under_way = Counter[int]()

    async def send_all(self, inputs: Mapping[str, Iterable[RuntimeData]], tag: int) -> None:
        """Hand data to nodes by their ids ("" takes the pipeline's input), all with one tag (see `send`)."""
        self.begin(tag)
        for node_id, items in inputs.items():
            for data in items:
                self.begin(tag)
                await self._put(_Item(data, tag), node_id)
        await self.settle(tag)

    async def __anext__(self) -> TaggedOutput | Settled:  # type: ignore[override]
        return cast("TaggedOutput | Settled", await super().__anext__())

    def _ends(self, step: Step) -> Ends:
        ends, worker = super()._ends(step), _Worker(self)

        async def leave(data: RuntimeData) -> None:
            await self._outputs.put(TaggedOutput(step.node_id, data, answered(worker.tag)))

        return Ends(
            _Inlet(worker, ends.inbox),
            [_Outlet(worker, target) for target in ends.targets],
            [_Outlet(worker, target) for target in ends.error_targets],
            None if ends.leave is None else leave,
        )

    def begin(self, tag: int | None) -> None:
        """Something with this tag is on its way to a node."""
        if tag is not None:
            self._under_way[tag] += 1

    async def settle(self, tag: int | None) -> None:
        """A node has done with something of this tag."""
        if tag is not None:
            self._under_way[tag] -= 1
            if not self._under_way[tag]:
                del self._under_way[tag]
                await self._outputs.put(Settled(tag))


class _Worker:
    """What is known of one worker: the tag of the item it took last, and whether it is busy with it."""

    def __init__(self, stream: TaggedStream) -> None:
        self.stream = stream
        self.tag: int | None = None
        self.busy = False


class _Inlet:
    """The input of a worker, without the tags. Whoever asks for the next item has done with the last one."""

    def __init__(self, worker: _Worker, channel: Channel[_Item]) -> None:
        self._worker = worker
        self._channel = channel

    async def get(self) -> RuntimeData | None:
        worker = self._worker
        if worker.busy:
            worker.busy = False
            await worker.stream.settle(worker.tag)
        item = await self._channel.get()
        if item is None:
            return None
        worker.busy, worker.tag = True, item.tag
        take(item.tag)
        return item.data


class _Outlet:
    """A queue after a worker, for items with the tag of what the worker took last."""

    def __init__(self, worker: _Worker, channel: Channel[_Item]) -> None:
        self._worker = worker
        self._channel = channel

    async def put(self, data: RuntimeData) -> None:
        tag = answered(self._worker.tag)
        self._worker.stream.begin(tag)
        await self._channel.put(_Item(data, tag))

    def end(self) -> None:
        self._channel.end()
