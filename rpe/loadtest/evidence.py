"""Did the faults of a run act? The world tells, the journals of the fakes, and attempts that failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rpe.chaos.evidence import count_fired
from rpe.chaos.guards import ScriptedFault
from rpe.chaos.history import History
from rpe.chaos.world.world import Evidence, Means
from rpe.load.results import Results
from rpe.loadtest.world import Pool

__all__ = ["fired"]

_BY_JOURNALS = (Means.SCRIPTED, Means.TRAFFIC)


async def fired(
    pool: Pool, faults: Sequence[ScriptedFault], results: Results | None, *, origin_s: float
) -> list[tuple[ScriptedFault, int, dict[str, Any]]]:
    """Return how often each fault acted, and what says so.

    Arguments:
        results: the figures, where there are any: where a link was cut, the attempts at it that failed count.
        origin_s: the moment on the monotonic clock at which the load began.
    """
    known: dict[str, dict[str, Evidence]] = {}
    for fault in faults:
        keys = dict.fromkeys(f"{fault.name}.{step.key}" for step in fault.steps)
        known[fault.name] = {
            key: found for key in keys if (found := await pool.world.evidence(key)) is not None
        }
    journals = await _journals(pool, known, origin_s)
    told: list[tuple[ScriptedFault, int, dict[str, Any]]] = []
    for fault in faults:
        count, evidence = count_fired(known[fault.name], journals, origin_s=origin_s)
        for key, one in known[fault.name].items():
            if one.means is Means.FAILURES and results is not None:
                attempts = _failed_attempts(one, pool.addresses[one.server], results, origin_s)
                evidence[key]["failed_attempts"] = attempts
                count += attempts
        told.append((fault, count, evidence))
    return told


async def _journals(pool: Pool, known: Mapping[str, Mapping[str, Evidence]], origin_s: float) -> History:
    """Read what the fakes wrote, where a fault can only be seen there: under load that is much."""
    if not any(one.means in _BY_JOURNALS for found in known.values() for one in found.values()):
        return History.of()
    lines = await pool.world.journal()
    return History.of(*((line.at_s - origin_s, f"server.{line.kind}", line.fields) for line in lines))


def _failed_attempts(one: Evidence, address: str, results: Results, origin_s: float) -> int:
    """Count the attempts at a server that failed and were due in a second in which the fault was in force."""
    spans = [(start_s - origin_s, end_s - origin_s) for start_s, end_s in one.spans]
    return sum(
        sum(row.failures.values())
        for row in results.rows
        if row.kind == "attempt"
        and row.name.endswith(f" @ {address}")
        and any(row.slot < end_s and row.slot + 1 > start_s for start_s, end_s in spans)
    )
