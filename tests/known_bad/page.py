"""The page of the known-bad clients, from the table that tests them: `python -m tests.known_bad.page`."""

from __future__ import annotations

import re
from pathlib import Path

from tests.known_bad.table import BUGS, Bug
from tests.support.cells import ROOT, cell

__all__ = ["PAGE", "page"]

PAGE = ROOT / "docs" / "known-bad.md"

HEAD = """\
# Clients that must go red

A suite that has never failed proves nothing. So it is run against clients that are broken on purpose: one
decent client, written by hand over raw gRPC stubs, and {count} with one defect each, of the kinds that are
reported of real clients. They are descendants of the decent one; those that run a pipeline of their own are
this project's runner with the defect built around it, since a second runner would have to speak every wire.
Each must fail in the scenario that is named, by the check that is named; *unknown*, or another check, does
not count. The client without a defect must pass every scenario, and so must `rpe`: the red is the defect's,
and not the scenario's. Each scenario turns at least one of these clients red, and so does each check that a
client can fail at all.

The clients are in `tests/known_bad/`, where a test holds this page to what is tested. The commands work in a
checkout of the repository, and end with 1.

Left out is what these scenarios cannot show: failures that need hours or the system's clock (backoff that
overflows, breakers that follow the wall clock), hundreds of clients (herds on recovery), thousands of
endpoints (choices that do not scale), or a caller that cancels.

"""

COLUMNS = ("the defect", "what the field reports of it", "goes red in, by", "command")
ISSUE = re.compile(r"\b([\w.-]+/[\w.-]+)#(\d+)")


def page() -> str:
    """Return the whole page."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS), *map(_row, BUGS)]
    return HEAD.format(count=len(BUGS)) + "\n".join(lines) + "\n"


def _row(bug: Bug) -> str:
    defect, field_report = bug.told
    linked = ISSUE.sub(r"[\1#\2](https://github.com/\1/issues/\2)", field_report)
    where = f"`{bug.scenario}`, by {bug.check}"
    if bug.also:
        where += "; also in " + ", ".join(f"`{scenario}`" for scenario in bug.also)
    path = f"scenarios/{cell(bug.scenario).theme}/{bug.scenario}.yaml"
    return f"| {defect} | {linked} | {where} | `rpe run {path} --client {bug.subject}` |"


def write(path: Path = PAGE) -> None:
    """Write the page."""
    path.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    write()
