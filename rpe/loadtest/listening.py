"""A locustfile without users, which makes Locust tell when a run begins and ends and what it measured.

It is given to Locust beside the file of a plan's own users, which may know nothing of rpe.
"""

from __future__ import annotations

import rpe.locust  # noqa: F401  # importing it is what does it

__all__: list[str] = []
