"""Fakes as a process: watching, changing and judging one that runs, over HTTP.

Nothing here is imported by a fake that nobody controls.
"""

from __future__ import annotations

__all__: list[str] = []
