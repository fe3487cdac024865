"""What the parts of a scenario must agree on with each other: names, times, bounds.

Each rule yields (path, message) for every mistake. `elsewhere` holds the names of entries
that are left out because they have mistakes of their own: what refers to them is not
reported again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from rpe.chaos.check import ALWAYS
from rpe.chaos.check.measures import FILTERS, MEASURES
from rpe.chaos.scenario.model import Scenario
from rpe.chaos.scenario.pooling import pool_mistakes
from rpe.chaos.scenario.scripts import script_mistakes
from rpe.chaos.scenario.timing import BUILT_IN, entries, resolve_spans
from rpe.chaos.scenario.wording import did_you_mean
from rpe.lined_yaml import Path

__all__ = ["RECOVERY_S", "broken_rules"]

RECOVERY_S = 0.25
"""How much of a run must be left after the last fault, for progress to come back in, in seconds."""

CLIENT = "client"
"""The name of the client under test in partitions, which no server can have."""

Found = Iterator[tuple[Path, str]]
Rule = Callable[[Scenario, frozenset[str]], Found]


def broken_rules(scenario: Scenario, elsewhere: Iterable[str] = ()) -> list[tuple[Path, str]]:
    """Return every mistake in how the parts of a scenario fit together."""
    names = frozenset(elsewhere)
    rules: tuple[Rule, ...] = (
        _names,
        _servers,
        pool_mistakes,
        _scripts,
        _windows,
        _times,
        _expectations,
        _allowances,
    )
    return [found for rule in rules for found in rule(scenario, names)]


def _names(scenario: Scenario, elsewhere: frozenset[str]) -> Found:
    """Every fault, window and workload has a name of its own."""
    seen: dict[str, Path] = {}
    for path, name, _, _ in entries(scenario):
        if name in BUILT_IN:
            yield (*path, "name"), f"{name!r} is a window that every scenario has; choose another name"
        elif name in seen:
            first = f"{seen[name][0]}[{seen[name][1]}]"
            yield (
                (*path, "name"),
                f"the name {name!r} is taken by {first}; faults and windows share their names",
            )
        seen.setdefault(name, path)
    workloads: set[str] = set()
    for position, workload in enumerate(scenario.workload):
        if workload.name in workloads:
            yield ("workload", position, "name"), f"the name {workload.name!r} is taken by another workload"
        workloads.add(workload.name)


def _servers(scenario: Scenario, elsewhere: frozenset[str]) -> Found:
    """Faults are done to servers that exist."""
    if CLIENT in scenario.servers:
        yield ("servers", CLIENT), f"{CLIENT!r} is the client under test; choose another name"
    known = {*scenario.servers, *elsewhere}
    for position, fault in enumerate(scenario.faults):
        path: Path = ("faults", position, fault.kind)
        groups: tuple[tuple[str, ...], ...] = getattr(fault.settings, "groups", ())
        named = dict.fromkeys([*fault.settings.targets, *(name for group in groups for name in group)])
        for server in named:
            if server not in known and not (groups and server == CLIENT):
                field = "groups" if groups else "on"
                yield (
                    (*path, field),
                    f"there is no server {server!r}; {did_you_mean(server, known)}",
                )


def _scripts(scenario: Scenario, elsewhere: frozenset[str]) -> Found:
    """The scripts that faults give to servers are scripts."""
    for position, fault in enumerate(scenario.faults):
        for path, message in script_mistakes(fault):
            yield ("faults", position, fault.kind, *path), message


def _windows(scenario: Scenario, elsewhere: frozenset[str]) -> Found:
    """What follows a window follows one that exists, and not itself."""
    _, problems = resolve_spans(scenario, elsewhere)
    yield from problems


def _times(scenario: Scenario, elsewhere: frozenset[str]) -> Found:
    """Everything lies in the run, and faults leave time to recover in."""
    spans, _ = resolve_spans(scenario, elsewhere)
    latest_s = scenario.duration_s - RECOVERY_S
    for path, name, _, for_s in entries(scenario):
        span = spans.get(name)
        if span is None:
            continue
        if span.start_s >= scenario.duration_s:
            yield path, f"it begins at {span.start_s:g} s, but the run is over at {scenario.duration_s:g} s"
        elif path[0] == "faults" and span.end_s > latest_s + 1e-9:
            yield (
                (*path, "for_s"),
                f"it is healed at {span.end_s:g} s, which leaves no time to recover before the end, "
                f"{scenario.duration_s:g} s; heal by {latest_s:g} s or make duration_s longer",
            )
        elif for_s is not None and span.end_s > scenario.duration_s + 1e-9:
            yield (*path, "for_s"), f"it ends at {span.end_s:g} s, after the run ({scenario.duration_s:g} s)"
    for position, workload in enumerate(scenario.workload):
        if workload.start_s >= scenario.duration_s:
            where: Path = ("workload", position, "start_s")
            yield (
                where,
                f"it begins at {workload.start_s:g} s, but the run is over at {scenario.duration_s:g} s",
            )


def _expectations(scenario: Scenario, elsewhere: frozenset[str]) -> Found:
    """What is measured exists, in a window that exists, with bounds that can be kept."""
    spans, _ = resolve_spans(scenario, elsewhere)
    windows = {*BUILT_IN, *(name for _, name, _, _ in entries(scenario)), *elsewhere}
    workloads = {*(workload.name for workload in scenario.workload), *elsewhere}
    servers = {*scenario.servers, *elsewhere}
    for position, wanted in enumerate(scenario.expect):
        path: Path = ("expect", position)
        measure = MEASURES.get(wanted.measure)
        if measure is None:
            yield (
                (*path, "measure"),
                f"unknown measure {wanted.measure!r}; {did_you_mean(wanted.measure, MEASURES)}",
            )
        else:
            for name in FILTERS:
                given = getattr(wanted, name) is not None
                if given and name not in measure.takes:
                    yield (
                        (*path, name),
                        f"{measure.name} does not look at it; it takes {_listed(measure.takes)}",
                    )
                elif not given and name in measure.needs:
                    yield (*path, name), f"is missing: {measure.name} needs to know it"
        if wanted.during not in windows:
            yield (
                (*path, "during"),
                f"there is no window {wanted.during!r}; {did_you_mean(wanted.during, windows)}",
            )
        if wanted.workload is not None and wanted.workload not in workloads:
            yield (
                (*path, "workload"),
                f"there is no workload {wanted.workload!r}; {did_you_mean(wanted.workload, workloads)}",
            )
        if wanted.endpoint is not None and wanted.endpoint not in servers:
            yield (
                (*path, "endpoint"),
                f"there is no server {wanted.endpoint!r}; {did_you_mean(wanted.endpoint, servers)}",
            )
        if wanted.at_least is None and wanted.at_most is None and wanted.equals is None:
            yield path, "it has no bound: give at_least, at_most or equals"
        elif wanted.at_least is not None and wanted.at_most is not None and wanted.at_least > wanted.at_most:
            yield path, f"nothing is at least {wanted.at_least:g} and at most {wanted.at_most:g}"
        span = spans.get(wanted.during)
        if span is not None:
            length_s = min(span.length_s, wanted.within_s or span.length_s)
            if length_s - (wanted.from_s or 0.0) <= 0:
                yield (
                    path,
                    f"nothing is left of the window {wanted.during}, which is {span.length_s:g} s long",
                )


def _allowances(scenario: Scenario, elsewhere: frozenset[str]) -> Found:
    """What is declared not applicable is a check that can be."""
    waivable = [name for name, check in ALWAYS.items() if check.waivable]
    for position, allowance in enumerate(scenario.allow):
        path: Path = ("allow", position, "check")
        if allowance.check not in ALWAYS:
            yield path, f"unknown check {allowance.check!r}; {did_you_mean(allowance.check, waivable)}"
        elif allowance.check not in waivable:
            yield path, f"{allowance.check} always applies: without it a run proves nothing"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "no filter"
