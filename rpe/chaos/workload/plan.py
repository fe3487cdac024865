"""A workload with every draw made: what is sent, and at which instants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["WorkloadPlan"]


@dataclass(frozen=True, slots=True)
class WorkloadPlan:
    """One workload of a plan.

    `due_s` are the intended starts of its operations, in seconds from the run's start,
    in order. An operation of kind `stream` sends `chunks` pieces of `chunk_ms`, one every
    `chunk_ms`; one of kind `unary` sends a single piece. `timeout_s` is the deadline of a
    unary operation, and what a session may take beyond the pace of its chunks.
    """

    name: str
    kind: Literal["unary", "stream"]
    due_s: tuple[float, ...]
    timeout_s: float
    repeatable: bool = True
    input: Literal["speech", "recordings", "text"] = "speech"
    chunk_ms: float = 20
    chunks: int = 1

    @property
    def operation_timeout_s(self) -> float:
        """The deadline of one operation, in seconds from its start."""
        if self.kind == "unary":
            return self.timeout_s
        return self.timeout_s + self.chunks * self.chunk_ms / 1000
