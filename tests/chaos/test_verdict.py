"""The lattice of verdicts, and the judge."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from rpe.chaos.check import ALWAYS
from rpe.chaos.check.base import Check
from rpe.chaos.history import History
from rpe.chaos.plan import Plan
from rpe.chaos.verdict import CheckResult, Status, Verdict, exit_code, judge, merge
from tests.support.runs import add, change, drop, good_unary, history, plan_of

P, F, U = Status.PASS, Status.FAIL, Status.UNKNOWN

MERGED = {(P, P): P, (P, F): F, (P, U): U, (F, P): F, (F, F): F, (F, U): F, (U, P): U, (U, F): F, (U, U): U}


@pytest.mark.parametrize(("left", "right"), list(itertools.product(Status, Status)))
def test_the_worst_of_two_wins(left: Status, right: Status) -> None:
    assert merge([left, right]) is MERGED[left, right]
    assert Verdict.of([result(left), result(right)]).status is MERGED[left, right]


def test_of_nothing_the_verdict_is_unknown() -> None:
    assert merge([]) is Status.UNKNOWN
    assert Verdict.of([]).status is Status.UNKNOWN


@pytest.mark.parametrize(("status", "code"), [(P, 0), (F, 1), (U, 3)])
def test_only_a_pass_exits_with_zero(status: Status, code: int) -> None:
    assert exit_code(status) == code
    assert Verdict.of([result(status)]).exit_code == code


def test_a_verdict_survives_the_way_through_json() -> None:
    given = judge(history(good_unary()), plan_of(expect=[{"measure": "operations", "at_least": 99}]))

    assert given.status is Status.FAIL
    assert Verdict.from_json(given.to_json()) == given


@pytest.mark.parametrize("text", ["", "{", "[]", '{"status": "good", "checks": []}', '{"status": "pass"}'])
def test_what_is_not_a_verdict_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Verdict.from_json(text)


def test_the_judge_runs_every_check_and_every_expectation() -> None:
    plan = plan_of(
        expect=[{"measure": "success_ratio", "at_least": 0.99}, {"measure": "missed", "equals": 0}]
    )

    found = judge(history(good_unary()), plan)

    assert found.status is Status.PASS
    names = [check.name for check in found.checks]
    assert names == [*ALWAYS, "expect success_ratio during run", "expect missed during run"]
    assert found.worst() == found.checks


def test_the_judge_is_a_function_of_the_history_and_the_plan_alone() -> None:
    plan = plan_of(expect=[{"measure": "latency_p99_s", "at_most": 0.1}])
    again = Plan.from_json(plan.to_json())

    assert judge(history(good_unary()), plan) == judge(history(good_unary()), again)


def test_a_check_that_crashes_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(history: History, plan: Plan) -> CheckResult:
        raise KeyError("op")

    monkeypatch.setitem(ALWAYS, "contract", Check("contract", "It crashes.", crash))

    found = judge(history(good_unary()), plan_of())

    (crashed,) = found.worst()
    assert found.status is Status.UNKNOWN
    assert crashed.name == "contract"
    assert "crashed" in crashed.summary
    assert "KeyError: 'op' (test_verdict.py:" in crashed.evidence[0]


def test_a_history_whose_events_lack_their_fields_is_unknown() -> None:
    told = add(
        drop(good_unary(), "operation.start", op="calls-1"), (0.1, "operation.start", {"workload": "calls"})
    )

    assert judge(history(told), plan_of()).status is Status.UNKNOWN


def test_an_expectation_of_a_measure_that_no_longer_exists_is_unknown() -> None:
    plan = plan_of(expect=[{"measure": "operations", "at_least": 1}])
    old = plan.model_copy(update={"expect": (plan.expect[0].model_copy(update={"measure": "gone"}),)})

    found = judge(history(good_unary()), old)

    assert found.status is Status.UNKNOWN
    assert "gone" in found.worst()[0].evidence[0]


def test_a_check_can_be_declared_not_applicable_with_a_reason() -> None:
    told = change(good_unary(), "resource", {"when": "final"}, tasks=9)
    allow = [{"check": "leaks", "because": "the client keeps its pool for the next run"}]

    assert judge(history(told), plan_of()).status is Status.FAIL
    found = judge(history(told), plan_of(allow=allow))

    assert found.status is Status.PASS
    (leaks,) = (check for check in found.checks if check.name == "leaks")
    assert leaks.summary == "not applicable here: the client keeps its pool for the next run"


def test_what_makes_a_run_worth_something_cannot_be_waived() -> None:
    told = change(good_unary(), "fault.fired", {}, count=0)
    allow = [{"check": "fault_fired", "because": "it is a nuisance, every time"}]

    assert judge(history(told), plan_of(allow=allow)).status is Status.UNKNOWN


@pytest.mark.parametrize("reason", [None, "interrupted"])
def test_a_run_that_did_not_go_to_its_end_is_unknown_and_not_judged_any_further(reason: str | None) -> None:
    told = change(good_unary(), "resource", {"when": "final"}, tasks=9)
    told = drop(told, "run.end") if reason is None else change(told, "run.end", {}, reason=reason)

    found = judge(history(told), plan_of())

    assert found.status is Status.UNKNOWN
    assert [check.name for check in found.checks] == ["finished"]


def test_each_check_has_a_name_and_a_promise() -> None:
    for name, known in ALWAYS.items():
        assert known.name == name
        assert known.promise.endswith(".")
        assert replace(known) == known


def result(status: Status) -> CheckResult:
    return CheckResult(name="some", status=status, summary="as told")
