"""Joining a definition with its descriptors: each answer is checked, and made ready to be sent."""

from __future__ import annotations

from pathlib import Path as Folder

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass

from rpe.fakes.definition.conditions import When
from rpe.fakes.definition.descriptors import full_name, kind_of
from rpe.fakes.definition.functions import FunctionFinder
from rpe.fakes.definition.matching import Matcher, read_matcher
from rpe.fakes.definition.model import Definition, Rule
from rpe.fakes.definition.parts import MethodPlan, RulePlan, ServicePlan
from rpe.fakes.definition.problems import Found
from rpe.fakes.definition.reading import AnswerReader
from rpe.lined_yaml import Path

__all__ = ["MethodPlan", "RulePlan", "ServicePlan", "read_plan"]

_CLIENT_STREAM = "client streaming"


def read_plan(
    definition: Definition, service: ServiceDescriptor, folder: Folder | None = None
) -> tuple[ServicePlan, list[Found]]:
    """Check a definition against its service. Returns the plan, and every mistake with its path.

    `folder` is where functions in Python are looked for that cannot be imported; None: nowhere.
    """
    plan = ServicePlan(full_name(service))
    problems: list[Found] = []
    functions = FunctionFinder(folder)
    methods: dict[str, MethodDescriptor] = dict(service.methods_by_name)
    for name in definition.methods:
        if name not in methods:
            known = ", ".join(methods) or "none"
            problems.append((("methods", name), f"{plan.name} has no such method; its methods: {known}"))
    for name, method in methods.items():
        rules = definition.methods.get(name, [])
        plan.methods[name] = _method_plan(method, rules, functions, problems)
    return plan, problems


def _method_plan(
    method: MethodDescriptor, rules: list[Rule], functions: FunctionFinder, problems: list[Found]
) -> MethodPlan:
    reader = AnswerReader(method, functions, problems)
    kind = kind_of(method)
    plans: list[RulePlan] = []
    for at, rule in enumerate(rules):
        path: Path = ("methods", method.name, at)
        matcher = _matcher(rule.when, method, functions, (*path, "when"), problems)
        then = tuple((item.scenario, item.state) for item in rule.then)
        plans.append(RulePlan(matcher, reader.answers(rule.answer, (*path, "answer")), then))
    return MethodPlan(
        method.name,
        kind,
        GetMessageClass(method.input_type),
        GetMessageClass(method.output_type),
        tuple(plans),
        any(plan.matcher.fields or plan.matcher.predicate for plan in plans),
        tuple(_scenarios(rules)),
    )


def _matcher(
    when: When, method: MethodDescriptor, functions: FunctionFinder, path: Path, problems: list[Found]
) -> Matcher:
    kind = kind_of(method)
    matcher, found = read_matcher(when, method.input_type, path, functions, many=kind == _CLIENT_STREAM)
    problems += found
    for key in ("on", "messages"):
        if getattr(when, key) is not None and kind != _CLIENT_STREAM:
            problems.append(((*path, key), f"{key} is for client streams; this method is {kind}"))
    return matcher


def _scenarios(rules: list[Rule]) -> dict[str, None]:
    """Return the names of the scenarios that rules speak of, in their order."""
    names: dict[str, None] = {}
    for rule in rules:
        states = [state.name for state in rule.when.scenario]
        states += [then.scenario for then in rule.then]
        for answer in (rule.answer, *(rule.answer.sequence or ())):
            for each in answer.each_rules or ():
                states += [state.name for state in each.when.scenario]
                states += [then.scenario for then in each.then]
            for item in answer.each or ():
                states += [state.name for state in (item.when.scenario if item.when else ())]
        names |= dict.fromkeys(states)
    return names
