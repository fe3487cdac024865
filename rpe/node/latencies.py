"""The latencies that are kept of a node, and their percentiles."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["KEPT_LATENCIES", "nearest_rank"]

KEPT_LATENCIES = 1024
"""How many of the last items of a node the percentiles are taken of."""


def nearest_rank(values: Sequence[float], percent: float) -> float | None:
    """The percentile of some values by nearest rank; None where there are none."""
    if not 0 < percent <= 100:
        raise ValueError(f"a percentile lies above 0 and up to 100, not at {percent}")
    if not values:
        return None
    return sorted(values)[math.ceil(percent / 100 * len(values)) - 1]
