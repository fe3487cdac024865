"""JUnit XML: a test suite per cell, a test case per check, for whatever shows test results in CI."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from rpe.chaos.result import CheckResult, Status
from rpe.report.cell import CellReport, measurement
from rpe.report.text import clean

__all__ = ["junit_xml"]

NOTHING_CHECKED = "verdict"
"""The name of the test case of a cell that was not checked at all, so that it is not silently empty."""


def junit_xml(reports: Sequence[CellReport]) -> str:
    """Return the cells as a JUnit document.

    A failed check is a `failure`, an unknown one is an `error`: it did not run, crashed, or
    had nothing to see, which is not a pass. Both carry their evidence. What a scenario
    declares not applicable is `skipped`, with its reason.
    """
    root = ElementTree.Element("testsuites", {"name": "rpe"})
    root.extend(_suite(report) for report in reports)
    _count(root)
    root.set("time", f"{sum(report.elapsed_s or 0.0 for report in reports):.3f}")
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _suite(report: CellReport) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", {"name": clean(report.cell)})
    if report.elapsed_s is not None:
        suite.set("time", f"{report.elapsed_s:.3f}")
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in _properties(report).items():
        if value:
            ElementTree.SubElement(properties, "property", {"name": name, "value": clean(value)})
    checks = report.verdict.checks or (
        CheckResult(name=NOTHING_CHECKED, status=Status.UNKNOWN, summary="nothing was checked"),
    )
    suite.extend(_case(report, check) for check in checks)
    _count(suite)
    return suite


def _count(element: ElementTree.Element) -> None:
    """Write the figures of all test cases below an element into its attributes."""
    element.set("tests", str(len(element.findall(".//testcase"))))
    for name, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(name, str(len(element.findall(f".//testcase/{kind}"))))


def _properties(report: CellReport) -> dict[str, str]:
    return {
        "seed": str(report.seed),
        "subject": report.subject,
        "proxy": report.proxy,
        "scenario": report.scenario,
        "proves": report.proves,
        "verdict": report.status.value,
        "folder": report.folder,
        "repeat": report.repeat,
    }


def _case(report: CellReport, check: CheckResult) -> ElementTree.Element:
    place = f"{report.theme}.{report.cell}" if report.theme else report.cell
    case = ElementTree.Element("testcase", {"classname": clean(place), "name": clean(check.name)})
    summary = clean(check.summary)
    if check.status is not Status.PASS:
        element = "failure" if check.status is Status.FAIL else "error"
        problem = ElementTree.SubElement(case, element, {"message": summary, "type": check.status.value})
        problem.text = "\n".join([summary, *_details(report, check)])
    elif check.name in report.waived:
        ElementTree.SubElement(case, "skipped", {"message": summary})
    return case


def _details(report: CellReport, check: CheckResult) -> list[str]:
    lines = [clean(line) for line in (measurement(check), *check.evidence) if line]
    lines.append(f"seed {report.seed}")
    if report.repeat:
        lines.append(f"repeat: {clean(report.repeat)}")
    return lines
