"""leaks: when the client is closed, the process holds what it held before."""

from __future__ import annotations

from rpe.chaos.check.base import Check, failed, passed, unknown
from rpe.chaos.history import History
from rpe.chaos.plan import Plan
from rpe.chaos.result import CheckResult

__all__ = ["CHECK"]

NAME = "leaks"

TOLERANCE = {"tasks": 0, "sockets": 0, "children": 0, "fds": 8, "threads": 4}
"""How much more may be held at the end than before. Wire libraries start a few threads and
their wake-up descriptors at first use, and keep them for the life of the process: of descriptors
gRPC has been seen to keep six where connections were broken on a busy machine."""


def leaks(history: History, plan: Plan) -> CheckResult:
    """Compare what the process held after the client was closed with what it held before it was made."""
    baseline, final = history.resources.get("baseline"), history.resources.get("final")
    if baseline is None or final is None:
        return unknown(NAME, "nobody counted at the start and at the end of the run")
    compared: list[str] = []
    leaked: list[str] = []
    for name, tolerance in TOLERANCE.items():
        before, after = getattr(baseline, name), getattr(final, name)
        if before is None or after is None:
            continue
        told = f"{name} {before} before, {after} after"
        compared.append(told)
        if after - before > tolerance:
            leaked.append(told)
    if leaked:
        return failed(NAME, "the client left something behind", leaked)
    if not compared:
        return unknown(NAME, "nothing could be counted on this machine")
    return passed(NAME, "; ".join(compared))


CHECK = Check(
    NAME, "A closed client leaves no task, socket, descriptor, thread or child process behind.", leaks
)
