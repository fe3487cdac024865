"""The locustfile of plans that have a `load`: a source of arrivals for each, as `RPE_LOAD_USERS` tells.

Only Locust imports this; it is started by `rpe load FILE.yaml` (see `rpe.loadtest.commands`).
"""

from __future__ import annotations

import json
import os
from typing import Any

from rpe.chaos.workload.inputs import pieces_of
from rpe.chaos.workload.plan import WorkloadPlan
from rpe.load.messages import settings_from_json
from rpe.locust import ArrivalUser
from rpe.locust.work import Execution, Session, Work
from rpe.manifest.model import Manifest

__all__: list[str] = []

PIECES = 16
"""How many different inputs of a unary load take turns."""

TOLD: dict[str, Any] = json.loads(os.environ["RPE_LOAD_USERS"])
SOURCE = int(os.environ.get("RPE_LOAD_SOURCE", "0"))
MANIFEST = Manifest.from_json(TOLD["manifest"])


def work_of(load: dict[str, Any]) -> list[Work]:
    """Return what the arrivals of a load do in turn."""
    unary = load["kind"] == "unary"
    pieces = pieces_of(
        WorkloadPlan(
            name=load["name"],
            kind=load["kind"],
            due_s=(),
            timeout_s=TOLD["settings"]["timeout_s"],
            repeatable=load["repeatable"],
            input=load["input"],
            chunk_ms=load["chunk_ms"],
            chunks=load["chunks"],
        )
    )
    data = [pieces.piece(number) for number in range(PIECES if unary else load["chunks"])]
    named: dict[str, Any] = {"name": load["name"], "repeatable": load["repeatable"]}
    if unary:
        return [Execution(MANIFEST, piece, **named) for piece in data]
    return [Session(MANIFEST, data, every_s=load["chunk_ms"] / 1000, **named)]


def user_of(load: dict[str, Any]) -> type[ArrivalUser]:
    """Return the class of which each process has one user."""
    work = work_of(load)
    ramp = load["ramp"]
    # Sources with a rhythm take turns, so that all of them together have one, too.
    turn_s = SOURCE / (load["rate_per_s"] * TOLD["sources"]) if load["arrivals"] == "constant" else 0.0
    return type(
        load["name"],
        (ArrivalUser,),
        {
            "settings": settings_from_json(TOLD["settings"]),
            "transport_config": TOLD["config"],
            "fixed_count": TOLD["sources"],
            "rate_per_s": load["rate_per_s"],
            "arrivals": load["arrivals"],
            "ramp": None if ramp is None else tuple(ramp),
            "start_s": load["start_s"] + turn_s,
            "stop_s": load["stop_s"],
            "max_in_flight": load["max_in_flight"],
            "seed": load["seed"],
            "work": lambda self: work,
        },
    )


globals().update({load["name"]: user_of(load) for load in TOLD["loads"]})
