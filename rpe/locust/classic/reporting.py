"""Timing a call, and telling Locust of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from locust.env import Environment

from rpe.locust.statistics import fire

__all__ = ["Timed", "endpoint_of", "timed"]


class Timed:
    """What becomes of a call that is being timed: set `size` where it went well, `error` where it did not."""

    def __init__(self) -> None:
        self.size = 0
        self.error: str | None = None


@contextmanager
def timed(environment: Environment, name: str) -> Iterator[Timed]:
    """Time what is done inside, and report it as an `execute` request; not of a user that is stopped."""
    call, started_s = Timed(), time.perf_counter()
    yield call
    latency_ms = (time.perf_counter() - started_s) * 1000
    fire(environment, "execute", name, latency_ms, call.size, call.error)


def endpoint_of(addresses: str | None, number: int) -> str | None:
    """Return the address for the user of that number: users are dealt out over the addresses in turn."""
    known = [part.strip() for part in (addresses or "").split(",") if part.strip()]
    return known[number % len(known)] if known else None
