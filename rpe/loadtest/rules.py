"""What the parts of a load plan must agree on with each other: names, times, bounds, wires.

What scenarios know of faults, windows and scripts is asked of them; here is what only load plans have.
`elsewhere` holds the names of entries that are left out because they have mistakes of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from random import Random

from rpe.chaos.scenario.carrying import carries_datagrams, misplaced_faults
from rpe.chaos.scenario.rules import broken_rules as broken_rules_of_scenarios
from rpe.chaos.scenario.timing import BUILT_IN, RUN, entries, resolve_spans
from rpe.chaos.scenario.wording import did_you_mean
from rpe.errors import ConfigurationError
from rpe.faults.actions import CutLink, SetToxic
from rpe.faults.kinds import FaultContext
from rpe.lined_yaml import Path
from rpe.loadtest.drawing import as_scenario
from rpe.loadtest.measures import MEASURES
from rpe.loadtest.model import LoadPlan
from rpe.transport.registry import get_transport

__all__ = ["broken_rules"]

WHOLE_S = 2.0
"""How long a part of a run must be to hold a whole second for certain, wherever it begins."""

LATE_S = 0.1
"""How much later than planned a fault is taken to be healed."""

Found = Iterator[tuple[Path, str]]
Rule = Callable[[LoadPlan, frozenset[str]], Found]


def broken_rules(plan: LoadPlan, elsewhere: Iterable[str] = ()) -> list[tuple[Path, str]]:
    """Return every mistake in how the parts of a plan fit together."""
    names = frozenset(elsewhere)
    rules: tuple[Rule, ...] = (_wire, _faults, _endpoints, _loads, _gates)
    return [found for rule in rules for found in rule(plan, names)]


def _wire(plan: LoadPlan, elsewhere: frozenset[str]) -> Found:
    try:
        get_transport(plan.transport)
    except ConfigurationError as error:
        yield ("transport",), error.message


def _faults(plan: LoadPlan, elsewhere: frozenset[str]) -> Found:
    """Faults, windows and scripts are as in scenarios, and can act on the wire."""
    scenario = as_scenario(plan)
    found = broken_rules_of_scenarios(scenario, elsewhere)
    yield from found
    if found:
        return
    yield from misplaced_faults(scenario, plan.transport)
    spans, _ = resolve_spans(scenario, elsewhere)
    for position, fault in enumerate(plan.faults):
        span = spans.get(fault.name)
        if span is not None and math.ceil(span.end_s + LATE_S) + 1 > plan.duration_s:
            yield (
                ("faults", position, "for_s"),
                f"it is healed at {span.end_s:g} s, which leaves no whole second to recover in "
                f"before the end, {plan.duration_s} s",
            )


def _endpoints(plan: LoadPlan, elsewhere: frozenset[str]) -> Found:
    """To servers of somebody else only that can be done which a proxy on the way can do."""
    if not plan.endpoints:
        return
    try:
        datagrams = carries_datagrams(plan.transport)
    except ConfigurationError:
        return
    for name, address in plan.endpoints.items():
        if plan.faults and "/" in address:
            yield ("endpoints", name), "write host:port: a proxy is put before it because there are faults"
    for position, fault in enumerate(plan.faults):
        path: Path = ("faults", position, fault.kind)
        steps = fault.settings.actions(FaultContext(fault.for_s, Random(0)))
        if datagrams:
            yield path, f"faults on {plan.transport} need servers that are started here, not endpoints"
        elif not all(isinstance(step.action, SetToxic | CutLink) for step in steps):
            yield path, f"{fault.kind} can only be done to servers that are started here, not to endpoints"


def _loads(plan: LoadPlan, elsewhere: frozenset[str]) -> Found:
    """Loads have names of their own, and begin within the run; what is only theirs is not said of users."""
    seen: set[str] = set()
    for position, load in enumerate(plan.load):
        if load.name in seen:
            yield ("load", position, "name"), f"the name {load.name!r} is taken by another load"
        seen.add(load.name)
        if load.start_s >= plan.duration_s:
            where: Path = ("load", position, "start_s")
            yield where, f"it begins at {load.start_s:g} s, but the run is over at {plan.duration_s} s"
    if plan.users is not None:
        for key in ("client", "manifest"):
            if key in plan.model_fields_set:
                yield (key,), "is for load; users of a file say it themselves"


def _gates(plan: LoadPlan, elsewhere: frozenset[str]) -> Found:
    """What is measured exists, in a window that exists, with bounds that can be kept."""
    scenario = as_scenario(plan)
    spans, _ = resolve_spans(scenario, elsewhere)
    built_in = BUILT_IN if plan.faults or elsewhere else (RUN,)
    windows = {*built_in, *(name for _, name, _, _ in entries(scenario)), *elsewhere}
    for position, gate in enumerate(plan.gates):
        path: Path = ("gates", position)
        if gate.measure not in MEASURES:
            yield (
                (*path, "measure"),
                f"unknown measure {gate.measure!r}; {did_you_mean(gate.measure, MEASURES)}",
            )
        if gate.during not in windows:
            yield (
                (*path, "during"),
                f"there is no window {gate.during!r}; {did_you_mean(gate.during, windows)}",
            )
        if plan.load:
            yield from _named(plan, position, elsewhere)
        if gate.at_least is None and gate.at_most is None and gate.equals is None:
            yield path, "it has no bound: give at_least, at_most or equals"
        elif gate.at_least is not None and gate.at_most is not None and gate.at_least > gate.at_most:
            yield path, f"nothing is at least {gate.at_least:g} and at most {gate.at_most:g}"
        span = spans.get(gate.during)
        if span is not None and gate.during not in elsewhere:
            length_s = min(span.length_s, gate.within_s or span.length_s) - (gate.from_s or 0.0)
            if length_s < WHOLE_S - 1e-9:
                left = f"{max(length_s, 0.0):g} s are left of the window {gate.during}"
                yield (
                    path,
                    f"{left}; it takes {WHOLE_S:g} s to be sure of a whole second, which figures are kept by",
                )


def _named(plan: LoadPlan, position: int, elsewhere: frozenset[str]) -> Found:
    """A gate looks at something that the loads of the plan do."""
    gate = plan.gates[position]
    names = {load.name for load in plan.load} | elsewhere
    kinds = {"attempt", *(load.operation for load in plan.load if gate.name in (None, load.name))}
    if "stream" in kinds or elsewhere:
        kinds |= {"stream", "open", "chunk"}
    if elsewhere:
        kinds.add("execute")
    if gate.kind == "attempt":
        return  # named by the endpoint, too
    if gate.name is not None and gate.name not in names:
        yield ("gates", position, "name"), f"there is no load {gate.name!r}; {did_you_mean(gate.name, names)}"
    elif gate.kind not in kinds:
        yield ("gates", position, "kind"), f"there is no {gate.kind}; {did_you_mean(gate.kind, kinds)}"
