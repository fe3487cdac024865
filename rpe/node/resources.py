"""What the runs of one runner share: resources that node types ask for, opened once and closed together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from rpe.clock import Clock
from rpe.errors import RpeError
from rpe.manifest.model import Manifest
from rpe.node.contract import NodeCall
from rpe.node.errors import NodeFailed
from rpe.node.metrics import Meter

if TYPE_CHECKING:
    from rpe.node.plan import Step
    from rpe.node.registry import NodeRegistry
    from rpe.node.remote.options import RemoteOptions

__all__ = ["Resources", "Shelf"]

T = TypeVar("T")


@dataclass(slots=True)
class Shelf:
    """What a runner keeps from its first run to its last, whether or not resources are open.

    memory: for node types to keep what is worth knowing again at the next opening, by keys of their own.
        Nothing in it may need to be closed.
    """

    manifest: Manifest
    steps: Mapping[str, Step]
    registry: NodeRegistry
    clock: Clock
    remote: RemoteOptions
    meters: dict[str, Meter]
    memory: dict[str, Any] = field(default_factory=dict, repr=False)


class Resources:
    """Opens the resources of all nodes, in the order of the manifest, and closes them in the reverse order.

    Whatever fails or is cancelled while the third of five is opened, the first two are closed
    again before `open` raises. They are entered and left in one task of their own.
    """

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.shared: dict[str, Any] = {}
        self._stack = AsyncExitStack()
        self._common: dict[object, Any] = {}
        self._owner: asyncio.Task[None] | None = None
        self._over = asyncio.Event()

    async def open(self) -> None:
        """Open all. Raises what a resource raises; anything that is no error of rpe as NodeFailed."""
        opened = asyncio.get_running_loop().create_future()
        self._owner = asyncio.create_task(self._own(opened), name="pipeline resources")
        try:
            await asyncio.wait([self._owner, opened], return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._owner.cancel()
            await self._ended(self._owner)
            raise
        if self._owner.done():
            await self._owner

    async def close(self) -> None:
        """Close all, also where this is cancelled meanwhile. Closing twice is harmless."""
        owner, self._owner = self._owner, None
        if owner is None:
            return
        self._over.set()
        cancelled = await self._ended(owner)
        if cancelled is not None:
            raise cancelled
        await owner

    async def common(self, key: object, make: Callable[[], AbstractAsyncContextManager[T]]) -> T:
        """Enter a resource that several nodes have in common, once; later calls get what the first one got.

        To be called while a node's own resource is opened. It is left after all that were opened since.
        """
        if key not in self._common:
            self._common[key] = await self._stack.enter_async_context(make())
        known: T = self._common[key]
        return known

    async def _own(self, opened: asyncio.Future[None]) -> None:
        failure: Exception | None = None
        try:
            async with self._stack:
                try:
                    for step in self.shelf.steps.values():
                        if step.node_type.open is not None:
                            self.shared[step.node_id] = await self._enter(step)
                    opened.set_result(None)
                    await self._over.wait()
                except Exception as error:
                    failure = error  # not the concern of those that are open: they are just left
        except Exception:
            if failure is None:
                raise
        if failure is not None:
            raise failure

    async def _enter(self, step: Step) -> Any:
        assert step.node_type.open is not None
        call = NodeCall(step.node_id, step.settings, self.shelf.clock, resources=self)
        try:
            return await self._stack.enter_async_context(step.node_type.open(call))
        except RpeError as error:
            error.node = error.node or step.node_id
            raise
        except Exception as error:
            raise NodeFailed(step.node_id, error) from error

    @staticmethod
    async def _ended(owner: asyncio.Task[None]) -> asyncio.CancelledError | None:
        """Wait until the owner has ended, through cancellations, and return the last of these."""
        cancelled: asyncio.CancelledError | None = None
        while not owner.done():
            try:
                await asyncio.wait([owner])
            except asyncio.CancelledError as late:
                cancelled = late
        if not owner.cancelled():
            owner.exception()  # seen, also where a cancellation is told in its place
        return cancelled
