"""Measures of latency: from the moment an operation was due, over those that succeeded."""

from __future__ import annotations

from rpe.chaos.check.measures.quantiles import nearest_rank
from rpe.chaos.check.measures.registry import measure
from rpe.chaos.check.scope import Scope

__all__: list[str] = []

_QUANTILES = {
    "latency_p50_s": (0.5, "half of"),
    "latency_p90_s": (0.9, "90% of"),
    "latency_p95_s": (0.95, "95% of"),
    "latency_p99_s": (0.99, "99% of"),
    "latency_max_s": (1.0, "all"),
}


def _register(name: str, quantile: float, part: str) -> None:
    @measure(
        name,
        f"The latency in seconds that {part} the successful operations kept, from when each was due "
        "(exact, nearest rank).",
        takes=["workload", "endpoint"],
        shows="slowest",
    )
    def value(scope: Scope) -> float | None:
        latencies = (
            operation.latency_s
            for operation in scope.operations()
            if operation.ok and scope.at_endpoint(operation.endpoint)
        )
        return nearest_rank((latency for latency in latencies if latency is not None), quantile)


for _name, (_quantile, _part) in _QUANTILES.items():
    _register(_name, _quantile, _part)
