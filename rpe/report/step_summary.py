"""The summary page of a GitHub Actions step: appended to by every run in the step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rpe.report.cell import CellReport
from rpe.report.markdown import STEP_SUMMARY_BYTES, markdown

__all__ = ["append_step_summary"]


def append_step_summary(
    reports: Sequence[CellReport], *, seed: int, environment: Mapping[str, str]
) -> Path | None:
    """Append the page to the file that GitHub names in `environment`, in the room that is left there.

    Returns that file, or None where this is no step of GitHub Actions. Raises OSError where
    the file cannot be written.
    """
    name = environment.get("GITHUB_STEP_SUMMARY")
    if not name or not environment.get("GITHUB_ACTIONS"):
        return None
    path = Path(name)
    taken = path.stat().st_size if path.exists() else 0
    page = markdown(reports, seed=seed, limit_bytes=STEP_SUMMARY_BYTES - taken)
    with path.open("a", encoding="utf-8") as file:
        file.write(page)
    return path
