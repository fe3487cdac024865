"""Reading load plans: every mistake at once, each with its line and field; and writing one down."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import Any

import yaml
from pydantic import ValidationError

from rpe.chaos.scenario.errors import Problem
from rpe.chaos.scenario.remainder import Remainder, without
from rpe.chaos.scenario.wording import dotted, mistakes
from rpe.chaos.secrets import without_secrets
from rpe.errors import ConfigurationError
from rpe.lined_yaml import LinedDocument, LinedYamlError, Path, load_lined
from rpe.loadtest.model import LoadPlan, model_schema
from rpe.loadtest.rules import broken_rules

__all__ = ["LoadPlanError", "parse_plan", "plan_text", "read_plan"]


class LoadPlanError(ConfigurationError):
    """A load plan cannot be used; every mistake found is listed in `problems`."""

    code = "load_plan"
    default_hint = "`rpe load schema` prints what a load plan may say, for editors and for people"

    def __init__(self, problems: Sequence[Problem]) -> None:
        found = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("\n".join([f"{found} in the load plan", *(f"  {problem}" for problem in problems)]))
        self.problems = tuple(problems)


def read_plan(path: FilePath, *, locustfile: bool = True) -> LoadPlan:
    """Read a plan from a file; `locustfile` says that the one it names has to be there.

    Raises LoadPlanError with every mistake, also where the file is missing.
    """
    source = str(path)
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise LoadPlanError([Problem(source, 0, "", "there is no such file")]) from None
    except UnicodeDecodeError as error:
        what = f"this is not UTF-8 text: {error.reason} at byte {error.start}"
        raise LoadPlanError([Problem(source, 0, "", what)]) from error
    except OSError as error:
        raise LoadPlanError([Problem(source, 0, "", f"cannot be read: {error.strerror or error}")]) from error
    return parse_plan(text, source, folder=path.parent if locustfile else None)


def parse_plan(text: str, source: str = "plan", *, folder: FilePath | None = None) -> LoadPlan:
    """Read a plan from text; `source` names it, `folder` is where its locustfile is looked for.

    Raises LoadPlanError with every mistake; without a folder nobody looks for a locustfile.
    """
    try:
        document = load_lined(text)
    except LinedYamlError as error:
        raise LoadPlanError(
            [Problem(source, line, dotted(path), message) for line, path, message in error.found]
        ) from None
    if not isinstance(document.data, dict):
        what = "the file is empty" if document.data is None else "a load plan is a mapping of keys and values"
        raise LoadPlanError([Problem(source, 1, "", what)])
    plan, found = _validated(document)
    if plan is not None and plan.users is not None and folder is not None:
        locustfile = folder / plan.users.file
        if not locustfile.is_file():
            found.append((("users", "file"), f"there is no file {locustfile}"))
    if plan is None or found:
        problems = [Problem(source, document.line(path), dotted(path), what) for path, what in found]
        raise LoadPlanError(sorted(problems, key=lambda problem: problem.line))
    return plan


def plan_text(plan: LoadPlan) -> str:
    """Return a plan as the text of a file that says the same, with its credentials hidden."""
    data = without_secrets(plan.model_dump(mode="json", exclude_unset=True))
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=110)


def _validated(document: LinedDocument) -> tuple[LoadPlan | None, list[tuple[Path, str]]]:
    """Fit the data to the model and its rules; where entries do not fit, look at the rest without them."""
    try:
        plan = LoadPlan.model_validate(document.data)
    except ValidationError as error:
        found = mistakes(error.errors(), document, model_schema())
    else:
        return plan, broken_rules(plan)
    if not all(path for path, _ in found):
        return None, found  # there is nothing to load, or nothing that loads it: everything would refer to it
    rest = without(document.data, [path for path, _ in found])
    _complete(rest, document.data)
    try:
        plan = LoadPlan.model_validate(rest.data)
    except ValidationError:
        return None, found
    return None, found + [(rest.original(path), text) for path, text in broken_rules(plan, rest.names)]


def _complete(rest: Remainder, data: dict[str, Any]) -> None:
    """Make a plan of what is left: something stands for all that has mistakes, and for nothing else."""
    rest.data.pop("workload", None)  # a scenario has to have one, and faults
    if not data.get("faults"):
        rest.data.pop("faults", None)
    if "load" in data and not rest.data.get("load"):
        either = ({"kind": "unary"}, {"kind": "stream", "name": "unnamed"})
        rest.data["load"] = [{**kind, "rate_per_s": 1.0} for kind in either]
    for key, nobody in (("servers", {}), ("endpoints", "nowhere:1")):
        if key in data and not rest.data.get(key):
            rest.data[key] = {"unnamed": nobody}
