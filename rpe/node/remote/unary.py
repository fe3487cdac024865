"""A remote node that executes its pipeline once for each item."""

from __future__ import annotations

from rpe.data import RuntimeData
from rpe.node.contract import Emit, NodeCall, PipelineNode
from rpe.node.remote.outputs import in_order
from rpe.node.remote.shared import Remote

__all__ = ["UnaryRemoteNode"]


class UnaryRemoteNode(PipelineNode):
    """One execution after the other, so that outputs keep the order of the items.

    A partial success gives the outputs that there are. Cancelling the run cancels the execution.
    """

    __slots__ = ("_context", "_remote")

    def __init__(self, call: NodeCall) -> None:
        self._remote: Remote = call.shared
        self._context = call.context

    async def process(self, data: RuntimeData, emit: Emit) -> None:
        """Execute the pipeline on one item, and give its outputs in order."""
        result = await self._remote.execute(data, self._context)
        for output in in_order(result.outputs, self._remote.primary.manifest):
            await emit(output)
