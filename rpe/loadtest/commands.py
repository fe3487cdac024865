"""How Locust is called for a plan: arguments and environment of master and workers, or of one process."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rpe.chaos.pipeline import pipeline_of
from rpe.faults.seeds import derive_seed
from rpe.load.messages import settings_to_json
from rpe.loadtest.model import Load, LoadPlan
from rpe.subjects.reliable import client_settings

__all__ = ["SOURCE", "USERS", "arguments", "environment", "locustfiles", "worker_arguments"]

USERS = "RPE_LOAD_USERS"
"""The environment variable that tells `rpe.loadtest.users` what to do, as JSON."""

SOURCE = "RPE_LOAD_SOURCE"
"""The environment variable with the number of a worker, from 0."""


def locustfiles(plan: LoadPlan, folder: Path) -> str:
    """Return the files with the users of a plan, as Locust takes them; `folder` is the plan's own."""
    here = Path(__file__).parent
    if plan.users is not None:
        return f"{(folder / plan.users.file).resolve()},{here / 'listening.py'}"
    return str(here / "users.py")


def arguments(plan: LoadPlan, files: str, port: int | None) -> list[str]:
    """Return the arguments of the process that keeps the figures.

    `port` is where a master waits for its workers; None for one process that is everything.
    """
    told = ["-f", files, "--headless", "--only-summary", "--exit-code-on-error", "0"]
    told += ["--run-time", f"{plan.duration_s}s", "--stop-timeout", str(plan.patience_s)]
    if plan.users is not None:
        count, rate = plan.users.count, plan.users.spawn_rate
    else:
        # Each process is one source of arrivals of each load; all of them are there at once.
        count = len(plan.load) * plan.sources
        rate = float(count)
    told += ["--users", str(count), "--spawn-rate", f"{rate:g}"]
    if port is not None:
        told += ["--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", str(port)]
        told += ["--expect-workers", str(plan.workers), "--expect-workers-max-wait", "60"]
    return told + _classes(plan)


def worker_arguments(plan: LoadPlan, files: str, port: int) -> list[str]:
    """Return the arguments of a worker."""
    told = ["-f", files, "--worker", "--master-host", "127.0.0.1", "--master-port", str(port)]
    return [*told, "--exit-code-on-error", "0", *_classes(plan)]


def _classes(plan: LoadPlan) -> list[str]:
    return [] if plan.users is None else list(plan.users.classes)


def environment(plan: LoadPlan, addresses: Mapping[str, str], seed: int) -> dict[str, str]:
    """Return the environment of every process: this one's, without what would turn Locust from its plan."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("LOCUST_", "RPE_LOAD_"))
    }
    kept |= {"RPE_ENDPOINTS": ",".join(addresses.values()), "RPE_TRANSPORT": plan.transport}
    if plan.load:
        kept[USERS] = json.dumps(_told_to_users(plan, seed))
    return kept


def _told_to_users(plan: LoadPlan, seed: int) -> dict[str, Any]:
    settings = client_settings(plan.client)
    return {
        "manifest": pipeline_of(plan.manifest).to_json(),
        "settings": settings_to_json(settings),
        "config": {} if plan.client.token is None else {"token": plan.client.token},
        "sources": plan.sources,
        "loads": [_load(load, plan, derive_seed(seed, "load", load.name)) for load in plan.load],
    }


def _load(load: Load, plan: LoadPlan, seed: int) -> dict[str, Any]:
    """Return what one source of a load is told: its part of the rate and of the room."""
    ramp = load.ramp
    return {
        "name": load.name,
        "kind": load.kind,
        "rate_per_s": load.rate_per_s / plan.sources,
        "ramp": None
        if ramp is None
        else [ramp.from_per_s / plan.sources, load.rate_per_s / plan.sources, ramp.over_s],
        "arrivals": load.arrivals,
        "input": load.input,
        "chunk_ms": load.chunk_ms,
        "chunks": load.chunks if load.kind == "stream" else 1,
        "repeatable": load.repeatable,
        "start_s": load.start_s,
        "stop_s": min(load.stop_s or plan.duration_s, plan.duration_s),
        "max_in_flight": math.ceil(load.max_in_flight / plan.sources),
        "seed": seed,
    }
