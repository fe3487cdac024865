"""How a run is to be done, what it tells while it goes on, and what it comes to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from rpe.chaos.verdict import Verdict

__all__ = ["EMBEDDED", "Phase", "Progress", "ProgressCallback", "RunOptions", "RunOutcome"]

EMBEDDED = "embedded"
"""The proxy that a run starts inside its own process."""

Phase = Literal["waiting", "starting", "running", "ending", "judging", "done"]
"""Where a run is: waiting for a worker, building its world, playing, taking it down, being judged, over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What the caller of a run decides.

    Arguments:
        seed: the root of all chance in the run.
        subject: the client under test, by name or as `module:factory`.
        proxy: `embedded`, or the URL of a Toxiproxy API.
        out: the folder in which the run makes a folder of its own.
        faults: False replaces every fault by nothing, to see whether the scenario would notice.
        max_running: how many operations may run at once; further arrivals are missed.
        proxy_prefix: how the names of the run's proxies begin; unique, and drawn by default. Whoever
            gives it can delete them after a run that died (`rpe.chaos.world.links.sweep`).
    """

    out: Path
    seed: int = 0
    subject: str = "rpe"
    proxy: str = EMBEDDED
    faults: bool = True
    max_running: int = 1000
    proxy_prefix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a run is now. Times are in seconds, `t_s` from the run's start."""

    cell: str
    phase: Phase
    t_s: float = 0.0
    duration_s: float = 0.0
    ok: int = 0
    failed: int = 0
    missed: int = 0
    running: int = 0
    faults: tuple[str, ...] = field(default=())
    """The faults in force now."""

    def as_json(self) -> dict[str, Any]:
        """Return the progress as plain JSON data."""
        return asdict(self)


ProgressCallback = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """What a run came to, and where it is written down.

    `folder` is None where the run died before it had one. `wall_s` is how long it took.
    """

    cell: str
    verdict: Verdict
    folder: Path | None
    wall_s: float
