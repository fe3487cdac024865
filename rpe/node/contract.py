"""The contract of a node: what the runner calls, and what a node type declares."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.data import Payload, RuntimeData
from rpe.node.context import RunContext
from rpe.node.kinds import ALL_KINDS, Kinds
from rpe.node.params import AnyParams, Param, ParamReader, Params

if TYPE_CHECKING:
    from rpe.node.resources import Resources

__all__ = [
    "ORIGIN",
    "Emit",
    "NodeCall",
    "NodeFunction",
    "NodeOutput",
    "NodeType",
    "PipelineNode",
    "SelfDrivenNode",
    "node",
]

Emit = Callable[[RuntimeData], Awaitable[None]]
"""Hands one output on; it waits while those who take it are full. Valid inside the call it was given to."""


ORIGIN = RunContext()
"""Where a run stands that nobody else led to."""


@dataclass(frozen=True, slots=True)
class NodeCall:
    """What a node knows of the place it runs in.

    node_id: its id.
    params: its settings, as its type read them from its params.
    clock: what it waits by.
    context: where the run stands among those that led to it; its deadline is on that clock.
    shared: what its type's `open` gave, shared by all runs of the runner; None without one.
    resources: what the runner has besides this node, for `open` only.
    """

    node_id: str
    params: Any = field(default_factory=dict, repr=False)
    clock: Clock = SYSTEM_CLOCK
    context: RunContext = ORIGIN
    shared: Any = field(default=None, repr=False)
    resources: Resources | None = field(default=None, repr=False)


class PipelineNode:
    """One node of one run. The runner calls it from one task only, one call at a time.

    `process` for each item, in order; after the last one `flush`; and `close` once at the end
    of the run, also after a failure or a cancellation, when it must not wait long. A node
    that is given up is cancelled where it waits.
    """

    __slots__ = ()

    async def process(self, data: RuntimeData, emit: Emit) -> None:
        """Take one item and give any number of outputs. Whatever is raised fails the node."""
        raise NotImplementedError

    async def flush(self, emit: Emit) -> None:
        """The input has ended: give what is still held back."""

    async def close(self) -> None:
        """Let go of everything."""


class SelfDrivenNode(PipelineNode):
    """A node that takes its input itself, so that results can leave it whenever they come.

    The runner awaits `run` in the place of `process` and `flush`, and then `close`.
    """

    __slots__ = ()

    async def run(self, items: AsyncIterator[RuntimeData], emit: Emit) -> None:
        """Take items until they end, and give any number of outputs, until there are no more.

        Taking and giving may happen in two tasks of the node, but only one of each. What it
        raises fails the node; where it has an error port, `run` is called again
        for the items that are left, so it must be able to begin anew.
        """
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class NodeType:
    """A type of node, as a manifest names it.

    make: makes a node for one run, from its id, settings and clock.
    takes: the kinds of data that its nodes take. Where "control" is not among them, control
        messages do not reach the node: they pass it by, in order.
    gives: the kinds that they give; None where each node gives the kinds that reach it.
    params: reads the params.
    open: a resource that all runs of one runner share: entered before the first of them begins, left
        after the last one; its value is `NodeCall.shared` of the nodes. It is entered and left in one
        task, which is not the task of any run.
    streaming: the type that stands in for this one where the manifest says `is_streaming`.
    """

    name: str
    make: Callable[[NodeCall], PipelineNode]
    takes: Kinds = ALL_KINDS
    gives: Kinds | None = ALL_KINDS
    params: ParamReader = field(default_factory=AnyParams)
    open: Callable[[NodeCall], AbstractAsyncContextManager[Any]] | None = None
    streaming: NodeType | None = None

    def __post_init__(self) -> None:
        for kinds in (self.takes, self.gives or ALL_KINDS):
            if unknown := kinds - ALL_KINDS:
                raise ValueError(f"{', '.join(sorted(unknown))}: no kind of data (node type {self.name!r})")


NodeOutput = RuntimeData | Iterable[RuntimeData] | None
NodeFunction = Callable[[Any, NodeCall], NodeOutput | Awaitable[NodeOutput] | AsyncIterator[RuntimeData]]


class _FunctionNode(PipelineNode):
    """A function in the place of a node."""

    __slots__ = ("_call", "_function")

    def __init__(self, function: NodeFunction, call: NodeCall) -> None:
        self._function = function
        self._call = call

    async def process(self, data: RuntimeData, emit: Emit) -> None:
        returned: Any = self._function(data, self._call)
        if inspect.isasyncgen(returned):
            generator = cast("AsyncGenerator[Any, None]", returned)
            async with aclosing(generator):
                async for item in generator:
                    await emit(item)
            return
        output: Any = await returned if inspect.isawaitable(returned) else returned
        if output is None:
            return
        given: Any = [output] if isinstance(output, Payload) else output
        for item in given:
            await emit(item)


def node(
    name: str,
    *params: Param,
    takes: Iterable[str] = ALL_KINDS,
    gives: Iterable[str] | None = ALL_KINDS,
    any_params: bool = False,
) -> Callable[[NodeFunction], NodeType]:
    """Make a node type of a function of one item and a `NodeCall`.

    The function may be plain, a coroutine function or an async generator function. It
    gives one item, an iterable of items, or None for no output.

    Arguments:
        name: what manifests call it.
        params: the params it knows; others are refused, unless `any_params`.
        takes, gives: as in `NodeType`.
    """

    def wrap(function: NodeFunction) -> NodeType:
        return NodeType(
            name,
            lambda call: _FunctionNode(function, call),
            takes=frozenset(takes),
            gives=None if gives is None else frozenset(gives),
            params=AnyParams() if any_params else Params(*params),
        )

    return wrap
