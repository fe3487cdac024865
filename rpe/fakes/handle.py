"""The port of a running fake, in this process or in one of its own."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from rpe.fakes.behaviour import Behaviour
from rpe.fakes.journal import Entry

__all__ = ["FakeHandle"]


class FakeHandle(Protocol):
    """A fake server as its user holds it. `endpoint` is `host:port`, and stays the same over restarts."""

    @property
    def name(self) -> str:
        """What the journal calls this server."""
        ...

    @property
    def endpoint(self) -> str:
        """Where it listens; empty before its first start."""
        ...

    async def start(self) -> None:
        """Bind and serve. Raises ConfigurationError where that cannot be."""
        ...

    async def stop(self) -> None:
        """Stop at once. Harmless where it does not run."""
        ...

    async def restart(self, *, graceful: bool = True, down_s: float = 0.0) -> None:
        """Stop, stay away for `down_s` seconds, and serve again at the same endpoint.

        Graceful lets running calls end first; otherwise they are broken off.
        """
        ...

    async def set_behaviour(self, behaviour: Behaviour) -> None:
        """Follow another script; it holds, also after a restart, once this has returned."""
        ...

    async def journal_entries(self) -> list[Entry]:
        """Return all that the server has written down, over its restarts too."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
