"""A node of a fake that a test has taken over: a function answers, and each of its runs can be waited for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.data import Payload, RuntimeData
from rpe.errors import ConfigurationError, RpeError
from rpe.fakes.nodes import NodeCall, NodeFailed, NodeOutput
from rpe.testing.calls import Call, CallQueue, NodeRun

__all__ = ["CURRENT_CALL", "Answerer", "Handler"]

Answerer = Callable[..., Any] | RuntimeData | Sequence[RuntimeData]
"""A function of the data (or of the data and the `NodeCall`), plain or coroutine; or one answer for all."""

CURRENT_CALL: ContextVar[Call] = ContextVar("CURRENT_CALL")
"""The call that a node runs for."""


class Handler(CallQueue[NodeRun]):
    """What a decorated function becomes: the queue of its runs. Fills `rpe.fakes.nodes.NodeFunction`.

        @fake.handle("Transcribe")
        def transcribe(data):
            return Text("hello")

        run = await transcribe.next(timeout_s=1)

    Attributes:
        node_type: the node type that it answers for.
        broke: the errors that the function raised which it was not meant to: anything but
            NodeFailed and the errors of `rpe.errors`, both of which fail the pipeline instead.
    """

    def __init__(self, node_type: str, answer: Answerer, *, clock: Clock = SYSTEM_CLOCK) -> None:
        super().__init__(clock=clock)
        self.node_type = node_type
        self.broke: list[Exception] = []
        self._answer = answer
        self._takes_call = callable(answer) and _arguments(answer, node_type) == 2

    async def __call__(self, data: RuntimeData, node: NodeCall) -> NodeOutput:
        """Answer one run, after it was put into the queue."""
        self.append(NodeRun(data, node.node_id, node.params, CURRENT_CALL.get()))
        try:
            return await self._answered(data, node)
        except (NodeFailed, RpeError):
            raise
        except Exception as error:
            self.broke.append(error)
            raise node.failed(f"the handler of {self.node_type} raised {type(error).__name__}") from error

    async def _answered(self, data: RuntimeData, node: NodeCall) -> NodeOutput:
        answer = self._answer
        output: Any = answer
        if callable(answer):
            output = answer(data, node) if self._takes_call else answer(data)
            output = await output if inspect.isawaitable(output) else output
        pieces = [output] if isinstance(output, Payload) else output
        if not isinstance(pieces, list | tuple) or not all(isinstance(piece, Payload) for piece in pieces):
            raise TypeError(f"a handler returns data, or a list of data, not {type(output).__name__}")
        return pieces

    def __repr__(self) -> str:
        return f"<Handler of {self.node_type}: {self.count} runs>"


def _arguments(function: Callable[..., Any], node_type: str) -> int:
    """Return whether a function takes the data alone (1), or what is known of the node as well (2)."""
    signature = inspect.signature(function)
    for number in (1, 2):
        try:
            signature.bind(*([None] * number))
        except TypeError:
            continue
        return number
    raise ConfigurationError(
        f"the handler of {node_type} takes neither (data) nor (data, node), but {signature}"
    )
