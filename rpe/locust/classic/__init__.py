"""Users of Locust's classic style: one plain call per task, made by the user's own greenlet.

They have no pool, no retries and no sessions, and need no load engine: for those who want to see
servers without the reliable client, or to keep to what they know. `rpe.locust.PipelineUser` is
the one to begin with.
"""

from __future__ import annotations

__all__: list[str] = []
