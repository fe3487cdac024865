"""Load tests from a file: servers, load, faults and gates, run by Locust's processes, and judged."""

from __future__ import annotations

__all__: list[str] = []
