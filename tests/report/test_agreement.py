from __future__ import annotations

from typing import Any

from rpe.chaos.result import CheckResult, Status
from rpe.chaos.verdict import Verdict
from rpe.report.agreement import Rejudged


def test_the_same_statuses_agree_whatever_the_wording(make_report: Any, failed: CheckResult) -> None:
    reworded = failed.model_copy(update={"summary": "other words", "evidence": ()})
    assert Rejudged(make_report("cell", failed), Verdict.of([reworded])).differences == ()


def test_a_check_that_comes_out_differently_is_named(
    make_report: Any, failed: CheckResult, passed: CheckResult
) -> None:
    stored = Verdict.of([failed.model_copy(update={"status": Status.PASS}), passed])
    differences = Rejudged(make_report("cell", failed, passed), stored).differences
    assert differences == ("success_ratio during slow: pass -> fail",)


def test_a_check_that_is_new_or_gone_is_a_difference(
    make_report: Any, passed: CheckResult, unknown: CheckResult
) -> None:
    assert Rejudged(make_report("cell", passed), Verdict.of([unknown])).differences == (
        "fault-fired: unknown -> not there",
        "one-outcome: not there -> pass",
    )


def test_checks_of_one_name_are_told_apart(make_report: Any, passed: CheckResult) -> None:
    second = passed.model_copy(update={"status": Status.FAIL})
    run = Rejudged(make_report("cell", passed, second), Verdict.of([passed, passed]))
    assert run.differences == ("one-outcome #2: pass -> fail",)


def test_a_verdict_that_its_own_checks_do_not_bear_out_is_a_difference(
    make_report: Any, failed: CheckResult
) -> None:
    forged = Verdict(status=Status.PASS, checks=(failed,))
    assert Rejudged(make_report("cell", failed), forged).differences == ("the verdict: pass -> fail",)


def test_what_was_never_judged_cannot_differ(make_report: Any, passed: CheckResult) -> None:
    assert Rejudged(make_report("cell", passed), None).differences == ()
