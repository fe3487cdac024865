"""The matrix of a scenario: each combination of its values is a cell, a scenario of its own."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from rpe.chaos.scenario.errors import Problem, ScenarioError
from rpe.chaos.scenario.model import Scenario, model_schema
from rpe.chaos.scenario.wording import did_you_mean, dotted, known_keys, mistakes
from rpe.chaos.secrets import without_secrets
from rpe.lined_yaml import Path, unlined

__all__ = ["DEFAULT_TRANSPORT", "TRANSPORT", "Cell", "cells", "expand", "without_faults"]

TRANSPORT = "transport"
"""The key of a matrix that is no path of the file: the wire that the cell runs on."""

DEFAULT_TRANSPORT = "grpc"


@dataclass(frozen=True)
class Cell:
    """One scenario as it is run: the values of the matrix are in their places.

    `id` names it in reports and filters (`slow-primary[transport=grpc]`), `theme` is the
    folder its file lies in.
    """

    id: str
    scenario: Scenario
    transport: str
    values: Mapping[str, Any]
    theme: str = ""

    @property
    def words(self) -> tuple[str, ...]:
        """What a filter can match: the name, the theme, and the values of the matrix with their keys."""
        values = (f"{key}={_short(value)}" for key, value in self.values.items())
        return (self.scenario.name, self.theme, *values)


def cells(scenario: Scenario, theme: str = "") -> list[Cell]:
    """Return the cells of a scenario, in the order of its matrix.

    Raises ScenarioError where a path of the matrix does not exist or a value does not fit.
    """
    found, problems = expand(scenario, theme)
    if problems:
        raise ScenarioError([Problem(scenario.name, 0, dotted(path), message) for path, message in problems])
    return found


def expand(scenario: Scenario, theme: str = "") -> tuple[list[Cell], list[tuple[Path, str]]]:
    """Return the cells of a scenario, and the mistakes in its matrix (then there are no cells)."""
    base = scenario.model_dump(mode="json", exclude_unset=True, exclude={"matrix"})
    problems: list[tuple[Path, str]] = []
    for key, values in scenario.matrix.items():
        for position, value in enumerate(values):
            problems += [(("matrix", key, position), message) for message in _misfit(base, key, value)]
    if problems:
        return [], [*dict.fromkeys((path[:2], message) for path, message in problems)]
    found: list[Cell] = []
    for combination in itertools.product(*scenario.matrix.values()):
        chosen = dict(zip(scenario.matrix, combination, strict=True))
        data = base
        for key, value in chosen.items():
            data = _placed(data, key, value)
        try:
            settled = Scenario.model_validate(data)
        except ValidationError as error:
            where = ", ".join(f"{key}={_short(value)}" for key, value in chosen.items())
            found_there = mistakes(error.errors(), unlined(data), model_schema())
            return [], [
                (("matrix",), f"with {where}: {dotted(path)} {message}") for path, message in found_there
            ]
        found.append(
            Cell(
                id=_cell_id(scenario.name, chosen),
                scenario=settled,
                transport=str(chosen.get(TRANSPORT, DEFAULT_TRANSPORT)),
                values=chosen,
                theme=theme,
            )
        )
    return found, []


def without_faults(scenario: Scenario) -> Scenario:
    """Return the scenario with each fault replaced by `nothing`, its windows kept.

    A scenario that passes like this would not notice the absence of its faults, and so
    proves nothing.
    """
    data = scenario.model_dump(mode="json", exclude_unset=True)
    for fault, entry in zip(scenario.faults, data["faults"], strict=True):
        del entry[fault.kind]
        entry["nothing"] = {"on": list(fault.settings.targets)}
    return Scenario.model_validate(data)


def _misfit(base: Mapping[str, Any], key: str, value: Any) -> list[str]:
    """Say what is wrong with one value in its place."""
    there = {key.rpartition(".")[2]: value}
    if without_secrets(there) != there:
        return ["a credential cannot be a value of the matrix: cells are named by their values"]
    if key == TRANSPORT:
        return [] if isinstance(value, str) else [f"a transport is named by text, not {value!r}"]
    try:
        data = _placed(base, key, value)
    except LookupError as error:
        return [str(error.args[0])]
    try:
        Scenario.model_validate(data)
    except ValidationError as error:
        found = mistakes(error.errors(), unlined(data), model_schema())
        return [f"with {_short(value)}: {dotted(path)}: {message}" for path, message in found]
    return []


def _placed(data: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """Return a copy of `data` with `value` at the dotted path `key`.

    Entries of a list go by their position or name; the only entry of a list needs neither.
    A key that the file leaves out exists where a file may say it. Raises LookupError where
    there is no such place.
    """
    changed = copy.deepcopy(dict(data))
    if key == TRANSPORT:
        return changed
    schema = model_schema()
    place: Any = changed
    path: Path = ()
    *way, last = key.split(".")
    for part in way:
        container, slot, path = _slot(schema, place, path, part)
        if isinstance(container, dict) and container.get(slot) is None:
            container[slot] = {}
        place = container[slot]
    container, slot, _ = _slot(schema, place, path, last)
    container[slot] = value
    return changed


def _slot(schema: Mapping[str, Any], place: Any, path: Path, part: str) -> tuple[Any, Any, Path]:
    """Find the container and the slot that `part` names below `place`."""
    if isinstance(place, list):
        names = [entry.get("name") if isinstance(entry, dict) else None for entry in place]
        if part in names:
            position = names.index(part)
        elif part.isdigit() and int(part) < len(place):
            position = int(part)
        elif len(place) == 1 and part in known_keys(schema, (*path, 0)):
            return _slot(schema, place[0], (*path, 0), part)
        else:
            known = {str(name) for name in names if name} | {str(position) for position in range(len(place))}
            raise LookupError(
                f"there is no such path: {dotted(path)} has no {part!r}; {did_you_mean(part, known)}"
            )
        return place, position, (*path, position)
    if not isinstance(place, dict):
        raise LookupError(f"there is no such path: nothing can lie below {dotted(path)}, {_short(place)}")
    known = known_keys(schema, path) | set(place)
    if not path:
        known -= {"name", "matrix"}
    if part not in known:
        raise LookupError(f"there is no such path: {dotted((*path, part))}; {did_you_mean(part, known)}")
    return place, part, (*path, part)


def _cell_id(name: str, values: Mapping[str, Any]) -> str:
    if not values:
        return name
    return f"{name}[{','.join(f'{key}={_short(value)}' for key, value in values.items())}]"


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
