"""Exact quantiles: the nearest rank, a value that was measured, never one between two."""

from __future__ import annotations

import math
from collections.abc import Iterable

__all__ = ["nearest_rank"]


def nearest_rank(values: Iterable[float], quantile: float) -> float | None:
    """Return the smallest value that at least `quantile` (0 < quantile <= 1) of all values do not exceed.

    None where there are no values. The product is rounded before the ceiling, so that 0.07
    of 100 values is the 7th and not, by the error of binary fractions, the 8th.
    """
    if not 0 < quantile <= 1:
        raise ValueError(f"a quantile lies in (0, 1], not at {quantile}")
    ordered = sorted(values)
    if not ordered:
        return None
    return ordered[max(1, math.ceil(round(quantile * len(ordered), 9))) - 1]
