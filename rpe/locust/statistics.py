"""Locust's own statistics, told of what the engine has measured."""

from __future__ import annotations

from collections.abc import Iterable

from locust.env import Environment
from locust.stats import StatsEntry

from rpe.load.messages import Samples

__all__ = ["MISSED", "Reported", "fire", "log"]

MISSED = "missed"
"""The type of request by which Locust counts arrivals that did not start: failures without a time."""

_NOT_STARTED = "did not start: as many as may be were in flight"


class Reported(Exception):
    """What a failed request is reported with: its text alone, by which Locust counts it."""

    def __repr__(self) -> str:
        return str(self)


def log(environment: Environment, samples: Iterable[Samples]) -> None:
    """Put what was measured into the statistics.

    Where someone listens to Locust's event `request`, it is fired for each; it is costly, and
    otherwise no one's but the statistics'.
    """
    alone = len(getattr(environment.events.request, "_handlers", ())) == 1
    for each in samples:
        if alone:
            _add(environment, each)
        else:
            _fire_all(environment, each)
        for _ in range(each.missed):
            fire(environment, MISSED, each.name, None, 0, _NOT_STARTED)


def fire(
    environment: Environment, kind: str, name: str, latency_ms: float | None, size: int, error: str | None
) -> None:
    """Tell everyone of one request."""
    environment.events.request.fire(
        request_type=kind,
        name=name,
        response_time=latency_ms,
        response_length=size,
        exception=None if error is None else Reported(error),
        context={},
    )


def _add(environment: Environment, samples: Samples) -> None:
    """Add it all to the entry of this kind and name, and to the total, at once."""
    stats = environment.stats
    entry = StatsEntry(stats, samples.name, samples.kind)
    for latency_us in samples.good_us:
        entry.log(latency_us / 1000, 0)  # type: ignore[arg-type]  # Locust itself logs fractions
    for latency_us, _ in samples.bad:
        entry.log(latency_us / 1000, 0)  # type: ignore[arg-type]
    entry.total_content_length = samples.size
    if entry.num_requests:
        stats.total.extend(entry)
        stats.entries[samples.name, samples.kind].extend(entry)
    for _, error in samples.bad:
        stats.log_error(samples.kind, samples.name, Reported(error))


def _fire_all(environment: Environment, samples: Samples) -> None:
    size, rest = divmod(samples.size, len(samples.good_us) or 1)
    for number, latency_us in enumerate(samples.good_us):
        fire(environment, samples.kind, samples.name, latency_us / 1000, size + (number < rest), None)
    for latency_us, error in samples.bad:
        fire(environment, samples.kind, samples.name, latency_us / 1000, 0, error)
