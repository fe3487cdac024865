"""A pool of a scenario whose pipeline runs in the client: who serves a remote node, and on which wire."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rpe.chaos.strict import Items, Name, StrictModel

__all__ = ["FILLED_IN", "POOL", "Pool"]

POOL = "pool"
"""The param of a remote node that names the pool which serves it."""

FILLED_IN = ("transport", "endpoint", "endpoints", "tls", "auth_token", "auth_token_file")
"""The params of a remote node that the pool stands for."""


class Pool(StrictModel):
    """Servers that serve one remote node of the pipeline, as one organisation runs them."""

    servers: Annotated[Items[Name], Field(min_length=1)]
    """The servers of the pool, by name."""
    transport: str | None = None
    """The wire that they speak; without it, the one that the matrix gives."""
    tls: bool = False
    """Whether they have certificates, of an authority of their own that the client is told of."""
