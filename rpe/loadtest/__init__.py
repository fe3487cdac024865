"""Load tests from a file: servers, load, faults and gates, run by Locust's processes and judged in the end."""

from __future__ import annotations

__all__: list[str] = []
