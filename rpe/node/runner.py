"""Runs the pipeline of a manifest in this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Self

from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.data import Payload, RuntimeData
from rpe.errors import ConfigurationError
from rpe.manifest.model import Manifest
from rpe.node.context import RunContext
from rpe.node.contract import ORIGIN
from rpe.node.metrics import Meter, NodeMetrics
from rpe.node.plan import make_plan
from rpe.node.registry import NodeRegistry, default_registry
from rpe.node.remote.options import RemoteOptions
from rpe.node.resources import Resources, Shelf
from rpe.node.stream import PipelineStream
from rpe.node.tagged import TaggedStream

__all__ = ["PipelineRunner"]

Inputs = RuntimeData | Mapping[str, RuntimeData | Iterable[RuntimeData]]


class PipelineRunner:
    """A pipeline, checked and ready to run any number of times, also at once.

    Each run makes its own nodes, each in a task of its own with a bounded queue before it. Every
    output of a node goes down each connection that leads from it; a node that several lead to
    takes what comes first, and keeps the order along each path. A run fails with the first node
    that fails (NodeFailed), unless that node has an error port: a node of type `ErrorPort` whose id
    is the node's with `.error` after it.

    Nodes may share resources over all runs, such as a remote node its connections and circuit breakers.
    `async with PipelineRunner(...) as runner` opens them once, before the first run, and closes them
    at the end; leave it when the runs are over. Without it each run opens and closes its own.

    Arguments:
        manifest: the pipeline.
        registry: the node types; that of the process where it is None.
        clock: what nodes wait by, and what their times are taken from.
        queue_size: how many items wait before each node, and before whoever reads the outputs.
        remote: what remote nodes may use: variables, files, where manifests are fetched from.

    Raises ManifestInvalid with every problem: unknown node types, params, circles, kinds of data
    that do not fit, error ports that belong to no node.
    """

    def __init__(
        self,
        manifest: Manifest,
        registry: NodeRegistry | None = None,
        *,
        clock: Clock = SYSTEM_CLOCK,
        queue_size: int = 16,
        remote: RemoteOptions | None = None,
    ) -> None:
        if queue_size < 1:
            raise ConfigurationError(f"queue_size must be at least 1, not {queue_size}")
        chosen = default_registry() if registry is None else registry
        self._plan = make_plan(manifest, chosen)
        self._queue_size = queue_size
        self._shelf = Shelf(
            manifest,
            self._plan.steps,
            chosen,
            clock,
            remote or RemoteOptions(),
            {node_id: Meter() for node_id in self._plan.steps},
        )
        self._resources: Resources | None = None

    async def __aenter__(self) -> Self:
        if self._resources is not None:
            raise ConfigurationError("the runner is open already")
        self._resources = Resources(self._shelf)
        try:
            await self._resources.open()
        except BaseException:
            self._resources = None
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        resources, self._resources = self._resources, None
        if resources is not None:
            await resources.close()

    async def run(self, inputs: Inputs, *, context: RunContext = ORIGIN) -> dict[str, list[RuntimeData]]:
        """Feed the inputs, and return all outputs, in order, by the id of the output node.

        Arguments:
            inputs: data for the node that takes a lone input, or data (one item, or an iterable)
                for nodes by their ids, fed one node after the other.
            context: where the run stands among those that led to it.

        Raises NodeFailed, what the opening of resources raises (before anything runs), and
        ConfigurationError where there is no node of such an id. Nothing is left running, also
        after a failure or a cancellation.
        """
        given: dict[str, list[RuntimeData]] = {node_id: [] for node_id in self._plan.outputs}
        async with self._stream(_items(inputs), context) as stream:
            async for output in stream:
                given[output.node].append(output.data)
        return given

    def stream(self, *, context: RunContext = ORIGIN) -> PipelineStream:
        """Return a run that is fed and read bit by bit, to be entered with `async with`."""
        return self._stream(None, context)

    def tagged_stream(self, *, context: RunContext = ORIGIN) -> TaggedStream:
        """Return a run like that of `stream` that tells which input each output belongs to."""
        return TaggedStream(self._plan, self._shelf, self._resources, context, self._queue_size)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The ids of the nodes whose outputs leave the pipeline."""
        return self._plan.outputs

    def metrics(self) -> dict[str, NodeMetrics]:
        """Return the figures of each node, by its id, over all runs so far."""
        return {node_id: meter.snapshot() for node_id, meter in self._shelf.meters.items()}

    def _stream(self, feed: Iterable[tuple[str, RuntimeData]] | None, context: RunContext) -> PipelineStream:
        return PipelineStream(self._plan, self._shelf, self._resources, context, self._queue_size, feed)


def _items(inputs: Inputs) -> Iterator[tuple[str, RuntimeData]]:
    if isinstance(inputs, Payload):
        yield "", inputs
        return
    for node_id, data in inputs.items():
        for item in [data] if isinstance(data, Payload) else data:
            yield node_id, item
