"""Runs the pipeline of a manifest in this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.data import Payload, RuntimeData
from rpe.errors import ConfigurationError
from rpe.manifest.model import Manifest
from rpe.node.metrics import Meter, NodeMetrics
from rpe.node.plan import make_plan
from rpe.node.registry import NodeRegistry, default_registry
from rpe.node.stream import PipelineStream

__all__ = ["PipelineRunner"]

Inputs = RuntimeData | Mapping[str, RuntimeData | Iterable[RuntimeData]]


class PipelineRunner:
    """A pipeline, checked and ready to run any number of times, also at once.

    Each run makes its own nodes, each in a task of its own with a bounded queue before it. Every
    output of a node goes down each connection that leads from it; a node that several lead to
    takes what comes first, and keeps the order along each path. A run fails with the first node
    that fails (NodeFailed), unless that node has an error port: a node of type `ErrorPort` whose id
    is the node's with `.error` after it.

    Arguments:
        manifest: the pipeline.
        registry: the node types; that of the process where it is None.
        clock: what nodes wait by, and what their times are taken from.
        queue_size: how many items wait before each node, and before whoever reads the outputs.

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
    ) -> None:
        if queue_size < 1:
            raise ConfigurationError(f"queue_size must be at least 1, not {queue_size}")
        self._plan = make_plan(manifest, default_registry() if registry is None else registry)
        self._clock = clock
        self._queue_size = queue_size
        self._meters = {node_id: Meter() for node_id in self._plan.steps}

    async def run(self, inputs: Inputs) -> dict[str, list[RuntimeData]]:
        """Feed the inputs, and return all outputs, in order, by the id of the output node.

        Arguments:
            inputs: data for the node that takes a lone input, or data (one item, or an iterable)
                for nodes by their ids, fed one node after the other.

        Raises NodeFailed, and ConfigurationError where there is no node of such an id. Nothing is
        left running, also after a failure or a cancellation.
        """
        given: dict[str, list[RuntimeData]] = {node_id: [] for node_id in self._plan.outputs}
        async with self._stream(_items(inputs)) as stream:
            async for output in stream:
                given[output.node].append(output.data)
        return given

    def stream(self) -> PipelineStream:
        """Return a run that is fed and read bit by bit, to be entered with `async with`."""
        return self._stream(None)

    def metrics(self) -> dict[str, NodeMetrics]:
        """Return the figures of each node, by its id, over all runs so far."""
        return {node_id: meter.snapshot() for node_id, meter in self._meters.items()}

    def _stream(self, feed: Iterable[tuple[str, RuntimeData]] | None) -> PipelineStream:
        return PipelineStream(self._plan, self._meters, self._clock, self._queue_size, feed)


def _items(inputs: Inputs) -> Iterator[tuple[str, RuntimeData]]:
    if isinstance(inputs, Payload):
        yield "", inputs
        return
    for node_id, data in inputs.items():
        for item in [data] if isinstance(data, Payload) else data:
            yield node_id, item
