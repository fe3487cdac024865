"""What a history tells, as frozen records: each joined from the events that belong together.

Times are in seconds from the start of the run. A field that the history does not tell is
None, so that a check can say "not known" rather than guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "Attempt",
    "BreakerChange",
    "Chunk",
    "ChunkAnswer",
    "Event",
    "FaultRecord",
    "HealthChange",
    "Missed",
    "Operation",
    "Resources",
    "ServerEvent",
    "SubjectError",
    "WindowRecord",
]


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a history. `line` counts from 1."""

    t: float
    name: str
    fields: Mapping[str, Any]
    line: int = 0


@dataclass(frozen=True, slots=True)
class Operation:
    """What the caller asked for, and how often, when and how it ended (it must be once)."""

    op: str
    workload: str
    kind: str
    due_s: float
    started_s: float
    timeout_s: float | None
    repeatable: bool
    request_hash: str | None = None
    expected_hash: str | None = None
    ends: int = 0
    ended_s: float | None = None
    outcome: str | None = None
    code: str | None = None
    error_kind: str | None = None
    message: str | None = None
    endpoint: str | None = None
    node: str | None = None
    response_hash: str | None = None
    latency_s: float | None = None
    attempts: int | None = None

    @property
    def ok(self) -> bool:
        """Whether it ended with an answer."""
        return self.outcome == "ok"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at one endpoint, as the subject reported it."""

    op: str
    attempt: int | None
    endpoint: str
    started_s: float
    probe: bool = False
    timeout_s: float | None = None
    ended_s: float | None = None
    outcome: str | None = None
    code: str | None = None
    position: int = 0
    """The position of its first event in the history, for order within one instant."""


@dataclass(frozen=True, slots=True)
class Missed:
    """An arrival that could not be started."""

    op: str
    due_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class ChunkAnswer:
    """One answer of a stream, at the moment and in the order of its arrival."""

    t: float
    op: str
    seq: int
    hash: str | None
    latency_s: float | None


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk that was sent, and every answer to it (there must be one)."""

    op: str
    seq: int
    sent_s: float
    due_s: float
    hash: str | None = None
    expected_hash: str | None = None
    answers: tuple[ChunkAnswer, ...] = ()


@dataclass(frozen=True, slots=True)
class WindowRecord:
    """When a window was open; `closed_s` is None where the history ends before it closed."""

    name: str
    opened_s: float
    closed_s: float | None = None


@dataclass(frozen=True, slots=True)
class FaultRecord:
    """What became of one fault: asked, in force (read back or not), healed, and how often it acted."""

    name: str
    kind: str = ""
    on: tuple[str, ...] = ()
    asked_s: float | None = None
    applied_s: float | None = None
    verified: bool = False
    healed_s: float | None = None
    fired: int | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class BreakerChange:
    """A breaker went from one state to another (closed, open, half_open), as the subject reported it."""

    t: float
    endpoint: str
    before: str
    after: str
    cause: str = ""
    position: int = 0


@dataclass(frozen=True, slots=True)
class HealthChange:
    """An endpoint became healthy or unhealthy in the subject's eyes."""

    t: float
    endpoint: str
    healthy: bool


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One entry of a server's journal. `kind` is the journal's word for it, without `server.`."""

    t: float
    kind: str
    server: str
    op: str | None
    attempt: int | None
    call: str | None
    method: str | None
    request_hash: str | None
    response_hash: str | None
    remaining_s: float | None
    sequence: int | None
    fault: str | None
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Resources:
    """What the process held at one moment; None where it could not be told."""

    when: str
    tasks: int | None = None
    fds: int | None = None
    threads: int | None = None
    children: int | None = None
    sockets: int | None = None
    in_flight: int | None = None


@dataclass(frozen=True, slots=True)
class SubjectError:
    """Something that the subject did outside of its contract."""

    t: float
    message: str
