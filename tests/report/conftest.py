from __future__ import annotations

from typing import Any, Protocol

import pytest

from rpe.chaos.result import CheckResult, Status
from rpe.chaos.verdict import Verdict
from rpe.report.cell import CellReport

PASSED = CheckResult(name="one-outcome", status=Status.PASS, summary="each operation ended once")
FAILED = CheckResult(
    name="success_ratio during slow",
    status=Status.FAIL,
    summary="too few operations succeeded",
    evidence=("load-3 at 1.2 s: remote_timeout", "load-4 at 1.3 s: remote_timeout"),
    window="slow",
    measured=0.512345678,
    wanted=">= 0.99",
)
UNKNOWN = CheckResult(name="fault-fired", status=Status.UNKNOWN, summary="the proxy could not be asked")


class MakeReport(Protocol):
    def __call__(self, cell: str, *checks: CheckResult, **changes: Any) -> CellReport: ...


def _make_report(cell: str, *checks: CheckResult, **changes: Any) -> CellReport:
    settings: dict[str, Any] = {
        "cell": cell,
        "scenario": cell.partition("[")[0],
        "theme": "latency",
        "subject": "rpe",
        "proxy": "embedded",
        "seed": 7,
        "verdict": Verdict.of(checks),
        "proves": "Calls go to the neighbours of a slow server.",
        "elapsed_s": 4.25,
        "folder": f"runs/{cell}",
        "repeat": f"rpe run scenarios/latency/{cell}.yaml --seed 7",
    }
    return CellReport(**{**settings, **changes})


@pytest.fixture
def make_report() -> MakeReport:
    """Makes the report of a cell from its checks."""
    return _make_report


@pytest.fixture
def passed() -> CheckResult:
    return PASSED


@pytest.fixture
def failed() -> CheckResult:
    return FAILED


@pytest.fixture
def unknown() -> CheckResult:
    return UNKNOWN


@pytest.fixture
def suite() -> list[CellReport]:
    """A cell of each status, the best first."""
    return [
        _make_report("calm", PASSED),
        _make_report("blackhole", PASSED, UNKNOWN),
        _make_report("slow-primary[transport=grpc]", PASSED, UNKNOWN, FAILED),
    ]
