"""What a fake counts, as Prometheus reads it; in a registry of its own, so that fakes do not add up."""

from __future__ import annotations

from collections.abc import Callable

from rpe.errors import ConfigurationError

__all__ = ["Metrics"]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The counters of one fake; all their names begin with rpe_fake_.

    Raises ConfigurationError where the package prometheus-client is missing.
    """

    def __init__(self) -> None:
        try:
            from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
        except ImportError as error:
            raise ConfigurationError(
                f"metrics cannot be kept: {error}", hint="pip install prometheus-client"
            ) from error
        registry = CollectorRegistry()
        self._registry = registry
        self._calls = Counter(
            "rpe_fake_calls", "Calls that have ended.", ("method", "code"), registry=registry
        )
        self._running = Gauge("rpe_fake_calls_in_flight", "Calls that run.", ("method",), registry=registry)
        self._latency = Histogram(
            "rpe_fake_call_seconds",
            "From the coming of a call to its end.",
            ("method",),
            registry=registry,
            buckets=_SECONDS,
        )
        self._messages = Counter(
            "rpe_fake_messages", "Messages of calls, in and out.", ("method", "direction"), registry=registry
        )
        self._faults = Counter("rpe_fake_faults", "Faults that took effect.", ("kind",), registry=registry)
        self._not_applied = Counter(
            "rpe_fake_faults_not_applied",
            "Faults that could not be opened (refused), or healed without having met a call (unused).",
            ("reason",),
            registry=registry,
        )
        self._open = Gauge("rpe_fake_faults_open", "Faults that are open.", registry=registry)
        for reason in ("refused", "unused"):
            self._not_applied.labels(reason)

    def call_began(self, method: str) -> None:
        """Count a call that has come in."""
        self._running.labels(method).inc()

    def call_ended(self, method: str, code: str, took_s: float) -> None:
        """Count a call that has ended, by the name of its status, and note how long it took."""
        self._running.labels(method).dec()
        self._calls.labels(method, code).inc()
        self._latency.labels(method).observe(took_s)

    def messages(self, method: str, direction: str, count: int = 1) -> None:
        """Count messages; `direction` is in or out."""
        if count:
            self._messages.labels(method, direction).inc(count)

    def fault(self, kind: str) -> None:
        """Count a fault that took effect."""
        self._faults.labels(kind).inc()

    def not_applied(self, reason: str) -> None:
        """Count a fault that had no effect."""
        self._not_applied.labels(reason).inc()

    def count_open(self, count: Callable[[], int]) -> None:
        """Show, whenever somebody looks, how many faults are open."""
        self._open.set_function(count)

    def text(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry)
