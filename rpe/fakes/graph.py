"""Running a manifest's graph of nodes, one piece of data after the other."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

from rpe.clock import Clock
from rpe.data import Payload, RuntimeData
from rpe.errors import RpeError
from rpe.fakes.nodes import NodeCall, NodeFailed, NodeFunction
from rpe.manifest.model import Manifest
from rpe.transport.serving import ApplicationError, ErrorType

__all__ = ["Graph"]


class Graph:
    """A pipeline, ready to run: node types looked up, order found.

    Raises NodeFailed (validation) for an unknown node type, naming the node, and for
    nodes in a circle.
    """

    def __init__(self, manifest: Manifest, functions: Mapping[str, NodeFunction], clock: Clock) -> None:
        before: dict[str, list[str]] = {item.id: [] for item in manifest.nodes}
        self._after: dict[str, list[str]] = defaultdict(list)
        for connection in manifest.connections:
            before[connection.to].append(connection.from_)
            self._after[connection.from_].append(connection.to)
        self._calls: dict[str, tuple[NodeFunction, NodeCall]] = {}
        for item in manifest.nodes:
            function = functions.get(item.node_type)
            if function is None:
                raise _invalid(f"the node type {item.node_type!r} is unknown here", item.id)
            self._calls[item.id] = (function, NodeCall(item.id, item.params, clock))
        try:
            self._order = tuple(TopologicalSorter(before).static_order())
        except CycleError as error:
            raise _invalid(f"nodes feed each other in a circle: {' -> '.join(error.args[1])}", "") from error
        self._inputs = [item.id for item in manifest.input_nodes]
        self._outputs = [item.id for item in manifest.output_nodes]

    async def run(self, inputs: Mapping[str, list[RuntimeData]]) -> dict[str, list[RuntimeData]]:
        """Feed data to nodes by their ids, and return what the output nodes give, by their ids.

        An empty id means the pipeline's input node, where there is only one. Raises
        NodeFailed where a node fails, or an id is not that of a node.
        """
        waiting: dict[str, list[RuntimeData]] = defaultdict(list)
        for node_id, data in inputs.items():
            waiting[self._input(node_id)].extend(data)
        given: dict[str, list[RuntimeData]] = {}
        for node_id in self._order:
            if node_id not in waiting:
                continue
            results = [result for data in waiting[node_id] for result in await self._run_node(node_id, data)]
            for following in self._after[node_id]:
                waiting[following].extend(results)
            if node_id in self._outputs:
                given[node_id] = results
        return given

    def name_output(self, node_id: str) -> str:
        """Return the name of an output in an answer: `output` where there is one only, else the node's id."""
        return "output" if len(self._outputs) == 1 else node_id

    def _input(self, node_id: str) -> str:
        if node_id in self._calls:
            return node_id
        if not node_id and len(self._inputs) == 1:
            return self._inputs[0]
        raise _invalid(f"there is no node {node_id!r} to take the input", node_id)

    async def _run_node(self, node_id: str, data: RuntimeData) -> list[RuntimeData]:
        function, call = self._calls[node_id]
        try:
            output = function(data, call)
            if inspect.isawaitable(output):
                output = await output
        except RpeError as error:
            raise call.failed(error.message) from error
        return [output] if isinstance(output, Payload) else list(output)


def _invalid(message: str, node_id: str) -> NodeFailed:
    return NodeFailed(ApplicationError(ErrorType.VALIDATION, message, node_id))
