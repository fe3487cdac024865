"""What expectations can measure: one registry, filled by one file per group of measures."""

from __future__ import annotations

from rpe.chaos.check.measures import attempts, latency, operations, reports, streams
from rpe.chaos.check.measures.registry import FILTERS, MEASURES, Measure

__all__ = ["FILTERS", "GROUPS", "MEASURES", "Measure"]

GROUPS = (operations, latency, attempts, reports, streams)
"""The modules whose import fills the registry."""
