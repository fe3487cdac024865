"""The load engine: pipelines are called on an asyncio loop in a process of its own, and measured there.

Whoever makes load (see `rpe.locust`) starts `python -m rpe.load.engine` and tells it what to
call over a socket. Two things are won by that. Latencies are those of a loop that does
nothing else, whatever the caller's own scheduling does. And the caller may be of any kind:
Locust lets gevent patch its process, in which gRPC's asyncio client waits for ever.
"""

from __future__ import annotations

__all__: list[str] = []
