"""A page in Markdown: the table of all cells, what broke those that did not pass, and what was waived."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rpe.chaos.result import CheckResult, Status
from rpe.report.cell import CellReport, counts, first_failed, measurement, overall
from rpe.report.text import clean, counted, one_line, shortened

__all__ = ["STEP_SUMMARY_BYTES", "escaped", "mark", "markdown"]

STEP_SUMMARY_BYTES = 1024 * 1024
"""The longest summary of a step that GitHub takes; it refuses a longer one as a whole."""

_NOTE_BYTES = 256
_SPECIAL = re.compile(r"([\\`*_{}\[\]#|~!])")
_MARKS = {Status.PASS: "✅ pass", Status.FAIL: "❌ fail", Status.UNKNOWN: "❔ unknown"}
_WORST_FIRST = (Status.FAIL, Status.UNKNOWN, Status.PASS)


def mark(status: Status) -> str:
    """Return a status with its sign."""
    return _MARKS[status]


def escaped(text: str, length: int = 200) -> str:
    """Return foreign text as one line of Markdown that reads as it was written, also inside of a table."""
    plain = shortened(one_line(text), length)
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        plain = plain.replace(sign, entity)
    return _SPECIAL.sub(r"\\\1", plain)


def markdown(reports: Sequence[CellReport], *, seed: int, limit_bytes: int = STEP_SUMMARY_BYTES) -> str:
    """Return the page, of at most `limit_bytes`; nothing where not even its heading fits.

    The worst cells stand first. What does not fit is left out from the end, evidence before
    rows, and a note says how much. `seed` is the root seed of the suite.
    """
    ordered = sorted(reports, key=lambda report: _WORST_FIRST.index(report.status))
    tally = ", ".join(f"{count} {status}" for status, count in counts(reports).items() if count)
    head = (
        f"## {mark(overall(reports))}: {counted(len(reports), 'cell')}{f' ({tally})' if tally else ''}\n\n"
        f"Root seed `{seed}`.\n\n"
        "| cell | verdict | subject | proxy | why |\n|---|---|---|---|---|\n"
    )
    details = [_details(report) for report in ordered if report.status is not Status.PASS]
    details += [_waived(report) for report in ordered if report.waived and report.status is Status.PASS]
    room = limit_bytes - _NOTE_BYTES - _size(head)
    if room < 0:
        return ""
    rows, room = _fitting([_row(report) for report in ordered], room)
    sections, _ = _fitting(details if len(rows) == len(ordered) else [], room)
    return head + "".join([*rows, *sections]) + _note(len(ordered) - len(rows), len(details) - len(sections))


def _fitting(blocks: Sequence[str], room: int) -> tuple[list[str], int]:
    """Return the blocks from the first on that fit together, and the room that is left, in bytes."""
    kept: list[str] = []
    for block in blocks:
        if _size(block) > room:
            break
        kept.append(block)
        room -= _size(block)
    return kept, room


def _size(text: str) -> int:
    return len(text.encode())


def _note(rows: int, sections: int) -> str:
    if not rows and not sections:
        return ""
    parts = [f"{counted(rows, 'row')} of the table"] if rows else []
    parts += [f"what is told of {counted(sections, 'cell')}"] if sections else []
    return f"\n*Cut to fit the page: {' and '.join(parts)} left out. The run folders hold everything.*\n"


def _row(report: CellReport) -> str:
    check = first_failed(report)
    if check is not None:
        why = f"{escaped(check.name)}: {escaped(check.summary)}"
    else:
        why = "" if report.status is Status.PASS else "nothing was checked"
    cells = (escaped(report.cell), mark(report.status), escaped(report.subject), escaped(report.proxy), why)
    return f"| {' | '.join(cells)} |\n"


def _details(report: CellReport) -> str:
    lines = [f"\n### {mark(report.status)}: {escaped(report.cell)}\n"]
    if report.proves:
        lines.append(f"{escaped(report.proves, 500)}\n")
    lines += [_check(check) for check in report.broken] or ["Nothing was checked.\n"]
    lines += [_waived_check(name, reason) for name, reason in report.waived.items()]
    lines.append(f"- seed `{report.seed}`")
    if report.folder:
        lines.append(f"- run folder {_code(report.folder)}")
    if report.repeat:
        lines.append(f"- repeat {_code(report.repeat)}")
    return "\n".join(lines) + "\n"


def _waived(report: CellReport) -> str:
    lines = [_waived_check(name, reason) for name, reason in report.waived.items()]
    return f"\n### {mark(report.status)}: {escaped(report.cell)}\n\n" + "\n".join(lines) + "\n"


def _waived_check(name: str, reason: str) -> str:
    return f"- not applicable: {escaped(name)}, because {escaped(reason, 500)}"


def _check(check: CheckResult) -> str:
    lines = [f"**{escaped(check.name)}** ({check.status}): {escaped(check.summary, 500)}\n"]
    if measured := measurement(check):
        lines.append(f"{escaped(measured)}\n")
    if check.evidence:
        lines.append(_block([shortened(clean(line), 1000) for line in check.evidence]))
    return "\n".join(lines)


def _block(lines: Sequence[str]) -> str:
    """Return lines as a block of code, in a fence longer than any that is in them."""
    text = "\n".join(lines)
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}text\n{text}\n{fence}\n"


def _code(text: str) -> str:
    """Return a piece of code inside of a line."""
    plain = one_line(text)
    fence = "`" * (_longest_run(plain) + 1)
    pad = " " if plain.startswith("`") or plain.endswith("`") else ""
    return f"{fence}{pad}{plain}{pad}{fence}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
