"""A fake that a person or a container starts: where it says that it serves, and who may control it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rpe.fakes.control.controlled import Controlled

__all__ = ["ControlPort", "controlled", "say"]


@dataclass(frozen=True, slots=True)
class ControlPort:
    """Where a fake may be controlled, and the bearer token that it takes (None: no token)."""

    port: int
    host: str = "127.0.0.1"
    token: str | None = field(default=None, repr=False)


def say(endpoints: Mapping[str, str], about: str, name: str = "") -> None:
    """Tell on standard output, a line for each wire, where calls are taken."""
    named = f"{name} " if name else ""
    for wire, endpoint in endpoints.items():
        sys.stdout.write(f"rpe fake {named}serves {wire} at {endpoint}{f' ({about})' if about else ''}\n")
    sys.stdout.flush()


@asynccontextmanager
async def controlled(port: ControlPort | None, fake: Callable[[], Controlled]) -> AsyncIterator[None]:
    """Inside, the control API of a fake is served, where a port is given for it."""
    if port is None:
        yield
        return
    from rpe.fakes.control.api import ControlServer

    async with ControlServer(fake(), host=port.host, port=port.port, token=port.token) as server:
        say({"control": server.endpoint}, "with a token" if port.token else "")
        yield
