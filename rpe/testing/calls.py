"""The calls that a fake has had, to be looked at and to be waited for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.data import RuntimeData, Text
from rpe.manifest.model import Manifest
from rpe.transport.serving import ReceivedChunk, ServerCall

__all__ = ["Call", "CallQueue", "NodeRun"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it came in: a unary execution, or a session with the chunks that it has had so far.

    number: counts the calls of this fake from 1, each attempt by itself.
    call: what came beside the request: metadata, the caller's deadline, the operation and attempt.
    """

    number: int
    call: ServerCall
    manifest: Manifest
    inputs: Mapping[str, RuntimeData]
    chunks: list[ReceivedChunk] = field(default_factory=list)

    @property
    def method(self) -> str:
        """`execute` or `stream`."""
        return self.call.method

    @property
    def metadata(self) -> Mapping[str, str]:
        """The metadata (gRPC) or headers (HTTP); their names are in lower case."""
        return self.call.metadata

    @property
    def operation_id(self) -> str:
        """The operation that the call is an attempt of; empty where the caller named none."""
        return self.call.operation_id

    @property
    def attempt(self) -> int:
        """Which attempt of its operation the call is, from 1; 0 where the caller did not say."""
        return self.call.attempt

    @property
    def node_types(self) -> tuple[str, ...]:
        """The types of the pipeline's nodes, in the order of the manifest."""
        return tuple(node.node_type for node in self.manifest.nodes)

    @property
    def data(self) -> tuple[RuntimeData, ...]:
        """Each piece of data that has come: the inputs, then the chunks in their order."""
        pieces = list(self.inputs.values())
        for chunk in self.chunks:
            pieces.extend(chunk.data.values() if isinstance(chunk.data, Mapping) else [chunk.data])
        return tuple(pieces)

    @property
    def texts(self) -> tuple[str, ...]:
        """Each text among the data."""
        return tuple(piece.text for piece in self.data if isinstance(piece, Text))

    def __str__(self) -> str:
        operation = f", operation {self.operation_id}" if self.operation_id else ""
        attempt = f", attempt {self.attempt}" if self.attempt else ""
        return f"call {self.number} ({self.method} of {' + '.join(self.node_types)}{operation}{attempt})"


@dataclass(frozen=True, slots=True)
class NodeRun:
    """One run of a node that a test has taken over: the data it was given, and the call it belongs to."""

    data: RuntimeData
    node_id: str
    params: Mapping[str, Any] = field(repr=False)
    call: Call

    def __str__(self) -> str:
        return f"{self.node_id} with {self.data!r}"


class CallQueue(Generic[T]):
    """What has come, oldest first; what was taken by `next` is kept in `all` too.

    Arguments:
        limit: so many are kept, the newest; `count` counts them all.
        clock: by which `next` waits.
    """

    def __init__(self, *, limit: int = 10_000, clock: Clock = SYSTEM_CLOCK) -> None:
        self.count = 0
        self._kept: deque[T] = deque(maxlen=limit)
        self._taken = 0
        self._clock = clock
        self._waiting: list[asyncio.Future[None]] = []

    @property
    def all(self) -> tuple[T, ...]:
        """All that have come, oldest first, whether taken or not."""
        return tuple(self._kept)

    @property
    def forgotten(self) -> int:
        """How many are no longer kept, since more than the limit have come."""
        return self.count - len(self._kept)

    def append(self, item: T) -> None:
        """Add one, and wake whoever waits for it."""
        self._kept.append(item)
        self.count += 1
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    async def next(self, timeout_s: float = 5.0) -> T:
        """Take the oldest that was not taken yet, waiting `timeout_s` seconds for one to come.

        Raises TimeoutError, which tells what came before. Cancelling it, or its running out of
        time, takes nothing.
        """
        try:
            async with self._clock.deadline(self._clock.now() + timeout_s):
                while self._taken >= self.count:
                    await self._another()
        except TimeoutError as error:
            last = "".join(f"\n  {item}" for item in list(self._kept)[-5:])
            raise TimeoutError(
                f"nothing more came within {timeout_s:g} s; {self.count} came before{last}"
            ) from (error)
        place = max(self._taken, self.forgotten)
        self._taken = place + 1
        return self._kept[place - self.forgotten]

    async def _another(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            await future
        finally:
            self._waiting.remove(future)

    def __len__(self) -> int:
        return self.count

    def __repr__(self) -> str:
        return f"<CallQueue: {self.count} came, {max(0, self.count - self._taken)} not taken yet>"
