"""A report as text, as JUnit XML and as Markdown. What servers sent is shown without credentials."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree import ElementTree

from rpe.errors import redact
from rpe.testing.fidelity.model import Check, Report, Result, Verdict

__all__ = ["as_junit", "as_markdown", "as_text", "table_of"]

_WORST_FIRST = (Verdict.FAIL, Verdict.UNKNOWN, Verdict.PASS)
_NOT_TEXT = re.compile("[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What a terminal could take for a command, and XML 1.0 does not allow."""
_SPECIAL = re.compile(r"([\\`*_{}\[\]#|~!<>&])")
_LONGEST = 400


def as_text(report: Report) -> str:
    """Return lines for people: what failed, what does not apply, what passed, and the sum of it."""
    width = max((len(result.check.name) for result in report.results), default=0)
    lines = []
    for result in _worst_first(report):
        told = f"{result.verdict:<8} {result.check.name:<{width}}  {result.check.proves}"
        lines.append(told)
        if result.verdict is not Verdict.PASS:
            word = "seen" if result.verdict is Verdict.FAIL else "not applicable"
            lines.append(f"{'':9}{word}: {_clean(result.seen)}")
            if result.verdict is Verdict.FAIL:
                lines.append(f"{'':9}contract: {result.check.contract}")
    return "\n".join([*lines, _closing(report)])


def as_junit(report: Report) -> str:
    """Return a JUnit document: a test case per check. A check that does not apply is `skipped`."""
    suite = ElementTree.Element("testsuite", {"name": f"fidelity.{report.transport}"})
    for result in report.results:
        name = {"classname": f"fidelity.{report.transport}", "name": result.check.name}
        case = ElementTree.SubElement(suite, "testcase", name | {"time": f"{result.elapsed_s:.3f}"})
        if result.verdict is Verdict.UNKNOWN:
            ElementTree.SubElement(case, "skipped", {"message": _clean(result.seen)})
        elif result.verdict is Verdict.FAIL:
            failure = ElementTree.SubElement(case, "failure", {"message": _clean(result.seen)})
            failure.text = f"proves: {result.check.proves}\ncontract: {result.check.contract}"
    counts = {
        "tests": len(report.results),
        "failures": len(report.failed),
        "errors": 0,
        "skipped": len(report.of(Verdict.UNKNOWN)),
    }
    for key, count in counts.items():
        suite.set(key, str(count))
    suite.set("time", f"{_elapsed_s(report):.3f}")
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def as_markdown(report: Report) -> str:
    """Return a page: the sum, and a table of all checks with the failed ones first."""
    head = f"## {_escaped(_closing(report))}\n\n| check | verdict | what was seen |\n|---|---|---|\n"
    rows = [
        f"| {_escaped(result.check.name)} | {result.verdict} | {_escaped(result.seen)} |\n"
        for result in _worst_first(report)
    ]
    return head + "".join(rows)


def table_of(checks: Iterable[Check]) -> str:
    """Return a table in Markdown of what checks there are, what each proves, and what demands it."""
    rows = [f"| `{each.name}` | {each.proves} | {_escaped(each.contract)} |" for each in checks]
    return "\n".join(["| check | passes where | contract |", "|---|---|---|", *rows])


def _worst_first(report: Report) -> list[Result]:
    return sorted(report.results, key=lambda result: _WORST_FIRST.index(result.verdict))


def _closing(report: Report) -> str:
    tally = ", ".join(f"{len(found)} {verdict}" for verdict in Verdict if (found := report.of(verdict)))
    word = "passed" if report.passed else "failed" if report.failed else "not shown"
    where = f"{report.endpoint} over {report.transport}, node type {report.node_type}"
    return f"fidelity {word}: {_clean(where)} ({tally or 'no checks'} in {_elapsed_s(report):.2f} s)"


def _elapsed_s(report: Report) -> float:
    return sum(result.elapsed_s for result in report.results)


def _clean(text: str) -> str:
    plain = redact(_NOT_TEXT.sub(" ", text))
    return plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]}..."


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", _clean(text))
