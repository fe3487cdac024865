"""Decisions: pure, repeatable, and each with a chance of its own."""

from __future__ import annotations

import ast
import inspect
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rpe.fakes import decide as module
from rpe.fakes.behaviour import Behaviour, parse_behaviour
from rpe.fakes.decide import Plan, call_rng, decide

PARTS: dict[str, dict[str, Any]] = {
    "latency": {"uniform_s": [0.0, 1.0]},
    "hang": {"rate": 0.3},
    "error": {"rate": 0.4},
    "application_error": {"rate": 0.5},
    "corrupt": {"mode": "garbage", "rate": 0.6},
}


def plans(script: Behaviour, *, seed: int = 1, name: str = "a", count: int = 400) -> list[Plan]:
    return [decide(script, number, call_rng(seed, name, number)) for number in range(count)]


def test_an_honest_script_does_nothing() -> None:
    assert set(plans(Behaviour())) == {Plan()}


def test_the_same_seed_gives_the_same_plans_and_another_does_not() -> None:
    script = parse_behaviour(PARTS)
    assert plans(script) == plans(script)
    assert plans(script) != plans(script, seed=2)
    assert plans(script) != plans(script, name="b")


def test_a_plan_depends_on_nothing_but_its_number() -> None:
    script = parse_behaviour(PARTS)
    assert decide(script, 77, call_rng(1, "a", 77)) == plans(script)[77]


@given(st.sets(st.sampled_from(sorted(PARTS))), st.sampled_from(sorted(PARTS)))
def test_a_part_decides_the_same_whatever_else_is_in_the_script(others: set[str], part: str) -> None:
    alone = plans(parse_behaviour({part: PARTS[part]}), count=40)
    together = plans(parse_behaviour({name: PARTS[name] for name in {*others, part}}), count=40)
    field = "latency_s" if part == "latency" else part
    assert [getattr(plan, field) for plan in alone] == [getattr(plan, field) for plan in together]


def test_rates_are_kept_and_do_not_hang_together() -> None:
    decided = plans(parse_behaviour(PARTS), count=4000)
    share = {
        name: sum(getattr(plan, name) is not None for plan in decided) / 4000
        for name in PARTS
        if name != "latency"
    }
    for name, seen in share.items():
        assert abs(seen - PARTS[name]["rate"]) < 0.03, name
    both = sum(plan.error is not None and plan.corrupt is not None for plan in decided) / 4000
    assert abs(both - 0.24) < 0.03


def test_the_decision_part_imports_nothing_that_waits_or_tells_time() -> None:
    tree = ast.parse(inspect.getsource(module))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    deciding = {f"rpe.fakes.{name}" for name in ("behaviour", "media_plan", "media_script", "service")}
    assert names == {"__future__", "random", "dataclasses", "typing"} | deciding
