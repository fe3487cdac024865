"""What the script does to one call: decided at once, from a number and a generator, with no I/O."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TypeVar

from rpe.fakes.behaviour import (
    Behaviour,
    Corrupt,
    Error,
    Firing,
    Hang,
    HttpBody,
    HttpScript,
    HttpStatus,
    PipelineError,
)
from rpe.fakes.media_plan import MediaPlan
from rpe.fakes.media_script import MediaScript
from rpe.fakes.service import CallService

__all__ = ["HttpPlan", "Plan", "call_rng", "decide", "decide_http", "decide_media"]


PartT = TypeVar("PartT", bound=Firing)


@dataclass(frozen=True, slots=True)
class HttpPlan:
    """What happens to one call that only an HTTP server can do; None is what does not.

    `events_seed` is the source of what happens to each event of a session.
    """

    status: HttpStatus | None = None
    body: HttpBody | None = None
    events_seed: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens to one call; None is what does not. `media` goes on deciding, frame by frame."""

    latency_s: float | None = None
    hang: Hang | None = None
    error: Error | None = None
    application_error: PipelineError | None = None
    corrupt: Corrupt | None = None
    http: HttpPlan = HttpPlan()
    service: CallService | None = None
    media: MediaPlan | None = None


def call_rng(seed: int, name: str, number: int) -> random.Random:
    """Return the generator of one call: the same for the same number, whatever came before or beside it."""
    return random.Random(f"{seed}/{name}/{number}")


def decide(behaviour: Behaviour, number: int, rng: random.Random) -> Plan:
    """Decide what happens to the call of that number, counted from 0 since the script was set.

    Each part has its own draw, taken whether the script has that part or not: adding one
    to a script does not change what the others do.
    """
    hang, error, application_error, corrupt = (rng.random() for _ in range(4))
    latency_s = None if behaviour.latency is None else behaviour.latency.draw_s(rng)
    return Plan(
        latency_s=latency_s,
        hang=_if_fires(behaviour.hang, number, hang),
        error=_if_fires(behaviour.error, number, error),
        application_error=_if_fires(behaviour.application_error, number, application_error),
        corrupt=_if_fires(behaviour.corrupt, number, corrupt),
    )


def decide_http(script: HttpScript, number: int, rng: random.Random) -> HttpPlan:
    """Decide what only an HTTP server does to a call, as `decide` does, with a generator of its own.

    So the draws of `decide` stay what they are, whether there is such a script or not.
    """
    status, body, events_seed = (rng.random() for _ in range(3))
    return HttpPlan(
        _if_fires(script.status, number, status), _if_fires(script.body, number, body), events_seed
    )


def decide_media(script: MediaScript, seed: int, name: str, number: int) -> MediaPlan | None:
    """Return what decides about the audio of a call, with generators of its own; None without such faults."""
    if not (script.faults or script.trace):
        return None
    return MediaPlan(script, number, lambda fault: call_rng(seed, f"{name}/media/{fault}", number))


def _if_fires(part: PartT | None, number: int, draw: float) -> PartT | None:
    return part if part is not None and part.fires(number, draw) else None
