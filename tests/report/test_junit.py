from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rpe.chaos.result import CheckResult, Status
from rpe.report.cell import CellReport
from rpe.report.junit import junit_xml


def test_each_cell_is_a_suite_and_each_check_a_case(suite: list[CellReport]) -> None:
    root = ElementTree.fromstring(junit_xml(suite))
    assert root.tag == "testsuites"
    assert [child.get("name") for child in root] == ["calm", "blackhole", "slow-primary[transport=grpc]"]
    cases = [(case.get("classname"), case.get("name")) for case in root[2].iter("testcase")]
    assert cases == [
        ("latency.slow-primary[transport=grpc]", "one-outcome"),
        ("latency.slow-primary[transport=grpc]", "fault-fired"),
        ("latency.slow-primary[transport=grpc]", "success_ratio during slow"),
    ]


def test_the_figures_of_suites_add_up(suite: list[CellReport]) -> None:
    root = ElementTree.fromstring(junit_xml(suite))
    assert [(child.get("tests"), child.get("failures"), child.get("errors")) for child in root] == [
        ("1", "0", "0"),
        ("2", "0", "1"),
        ("3", "1", "1"),
    ]
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("6", "1", "2")
    assert float(root.get("time", "")) == pytest.approx(3 * 4.25)


def test_a_failure_carries_its_evidence_and_what_repeats_it(suite: list[CellReport]) -> None:
    root = ElementTree.fromstring(junit_xml(suite))
    failure = root.find(".//testcase/failure")
    assert failure is not None and failure.text is not None
    assert failure.get("message") == "too few operations succeeded"
    assert failure.text.splitlines() == [
        "too few operations succeeded",
        "measured 0.512346, wanted >= 0.99",
        "load-3 at 1.2 s: remote_timeout",
        "load-4 at 1.3 s: remote_timeout",
        "seed 7",
        "repeat: rpe run scenarios/latency/slow-primary[transport=grpc].yaml --seed 7",
    ]


def test_what_is_unknown_is_an_error_and_never_a_pass(suite: list[CellReport]) -> None:
    root = ElementTree.fromstring(junit_xml(suite))
    error = root.find("./testsuite[@name='blackhole']/testcase[@name='fault-fired']/error")
    assert error is not None
    assert error.get("message") == "the proxy could not be asked"


def test_a_cell_that_was_not_checked_is_an_error(make_report: Any) -> None:
    (suite,) = ElementTree.fromstring(junit_xml([make_report("empty")]))
    assert (suite.get("tests"), suite.get("errors")) == ("1", "1")
    assert suite.find("./testcase/error") is not None


def test_a_waived_check_is_skipped_with_its_reason(make_report: Any, failed: CheckResult) -> None:
    waived = CheckResult(
        name="leaks", status=Status.PASS, summary="not applicable here: it may keep files open"
    )
    report = make_report(
        "cell", waived, failed, waived={"leaks": "it may keep files open", failed.name: "no"}
    )
    (suite,) = ElementTree.fromstring(junit_xml([report]))
    assert (suite.get("skipped"), suite.get("failures")) == ("1", "1")
    skipped = suite.find("./testcase[@name='leaks']/skipped")
    assert skipped is not None and "it may keep files open" in skipped.get("message", "")


def test_seed_subject_and_proxy_are_properties(suite: list[CellReport]) -> None:
    root = ElementTree.fromstring(junit_xml(suite))
    found = {item.get("name"): item.get("value") for item in root[2].iter("property")}
    assert (found["seed"], found["subject"], found["proxy"]) == ("7", "rpe", "embedded")
    assert found["verdict"] == "fail"


anything = st.text(st.characters(codec=None, categories=None), max_size=30)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(anything, anything, anything)
def test_any_text_gives_valid_xml(make_report: Any, name: str, summary: str, line: str) -> None:
    check = CheckResult(name=name, status=Status.FAIL, summary=summary, evidence=(line,))
    report = make_report("cell", check, subject=name, folder=summary, repeat=line)
    text = junit_xml([report])
    text.encode()
    assert ElementTree.fromstring(text).find(".//failure") is not None


def test_credentials_in_foreign_text_do_not_appear(make_report: Any) -> None:
    check = CheckResult(
        name="c",
        status=Status.FAIL,
        summary="Bearer hunter2",
        evidence=("token=hunter2",),
        wanted="password: hunter2",
    )
    assert "hunter2" not in junit_xml([make_report("cell", check)])
