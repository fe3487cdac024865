"""What a toxic does to one direction of one connection: a stage in a chain.

Bytes enter a stage by `feed` and leave it through its port, to the next stage or to the
socket; the end of the stream (`finish`) travels behind them. Stages never block and never
await: one that must wait asks its port to be woken. So adding, changing and removing a
toxic acts on live connections at once, whatever state these are in.
"""

from __future__ import annotations

from random import Random
from typing import Generic, Protocol, TypeVar, runtime_checkable

__all__ = ["ActsOnRemoval", "Port", "Stage"]

S = TypeVar("S")


class Port(Protocol):
    """What a stage may do to the world around it. The engine implements it, tests may too."""

    @property
    def rng(self) -> Random:
        """The generator of this toxic on this direction of this connection alone."""
        ...

    def now(self) -> float:
        """Return the monotonic time in seconds."""
        ...

    def send(self, data: bytes, arrived_s: float, /) -> None:
        """Pass bytes on. `arrived_s` is when they arrived, plus the latency put on them since."""
        ...

    def finish(self) -> None:
        """Pass on the end of the stream."""
        ...

    def close(self) -> None:
        """End the whole connection in good order: what later stages hold is still delivered."""
        ...

    def reset(self) -> None:
        """Kill the whole connection so that both peers see a reset; nothing more is delivered."""
        ...

    def hold(self) -> None:
        """Read no more from the source for now."""
        ...

    def release(self) -> None:
        """Take a `hold` back; harmless without one."""
        ...

    def wake_at(self, when_s: float) -> None:
        """Call the stage's `wake` at `when_s`, in place of any earlier request; infinity is never."""
        ...

    def cancel_wake(self) -> None:
        """Withdraw the request to be woken."""
        ...

    def acted(self, size: int = 0) -> None:
        """Record that the toxic did its work, on a chunk of `size` bytes or (0) on the connection."""
        ...


class Stage(Generic[S]):
    """Passes everything on unchanged; a toxic overrides what it changes.

    A stage exists for as long as its toxic and its connection both do. It is fed only while
    it acts, from `start` until `stop`, which may come again: a toxic whose toxicity is
    changed can fall silent and act again, and its stage keeps its memory.
    """

    __slots__ = ("port", "settings")

    def __init__(self, settings: S, port: Port) -> None:
        self.settings = settings
        self.port = port

    def start(self) -> None:
        """Begin to act: the connection was made, or the toxic was added to a live one."""

    def feed(self, data: bytes, arrived_s: float) -> None:
        """Take bytes that arrived from the source at `arrived_s`."""
        self.port.send(data, arrived_s)

    def finish(self) -> None:
        """Take the end of the stream: nothing is fed after it."""
        self.port.finish()

    def wake(self) -> None:
        """The moment asked for with `Port.wake_at` has come."""

    def update(self, settings: S) -> None:
        """Go on with other settings."""
        self.settings = settings

    def stop(self) -> None:
        """Act no longer: send on at once what is held, the end of the stream included."""


@runtime_checkable
class ActsOnRemoval(Protocol):
    """An optional power of a stage: to do something when its toxic is removed while it acts."""

    def removed(self) -> None:
        """The toxic was removed; called in place of `stop`."""
        ...
