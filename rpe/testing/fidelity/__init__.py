"""Fidelity checks: does a pipeline server, real or fake, speak the wire as its contract has it?

The same small named checks run against a live server of any make, so that a fake and the
server that it stands for can be held to one suite. They are made with clients of their own,
frame by frame where the wire has frames: a server is judged by what it sent.

    report = await check_server("127.0.0.1:50051", transport="grpc", node_type="Echo")
    assert report.passed, report.text()

Importing this package is cheap: its names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rpe.testing.fidelity.model import Check, Report, Result, Verdict
    from rpe.testing.fidelity.running import check_server
    from rpe.testing.fidelity.suite import TRANSPORTS, checks_of

__all__ = ["TRANSPORTS", "Check", "Report", "Result", "Verdict", "check_server", "checks_of"]

_HOMES = {
    "TRANSPORTS": "suite",
    "Check": "model",
    "Report": "model",
    "Result": "model",
    "Verdict": "model",
    "check_server": "running",
    "checks_of": "suite",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
