"""Write the parts of the documentation that the code itself knows. `--check` exits 1 where they are stale."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from rpe.chaos.check import ALWAYS
from rpe.chaos.check.measures import MEASURES
from rpe.chaos.scenario.model import Expectation, Scenario, Window, Workload
from rpe.chaos.subject import BreakerRequest, BudgetRequest, ClientRequest, HealthRequest, RetryRequest
from rpe.fakes.behaviour import Behaviour
from rpe.faults.kinds import KINDS
from rpe.policy import breaker_diagram

DOCS = Path(__file__).parent
GENERATED = re.compile(r"(<!-- generated: (?P<part>[\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> int:
    stale = []
    for page in sorted(DOCS.glob("*.md")):
        before = page.read_text()
        after = GENERATED.sub(lambda found: f"{found[1]}{PARTS[found['part']]()}\n{found[3]}", before)
        if after != before:
            stale.append(page.name)
            if "--check" not in sys.argv:
                page.write_text(after)
    if stale and "--check" in sys.argv:
        print(f"stale: {', '.join(stale)}; run `make docs`")
        return 1
    return 0


def fault_kinds() -> str:
    return "\n".join(
        [
            "| kind | what it does | settings |",
            "|---|---|---|",
            *(f"| `{name}` | {sentence(kind)} | {settings(kind)} |" for name, kind in sorted(KINDS.items())),
        ]
    )


def measures() -> str:
    rows = [
        f"| `{name}` | {measure.description} | {', '.join(f'`{key}`' for key in sorted(measure.takes))} |"
        for name, measure in sorted(MEASURES.items())
    ]
    return "\n".join(["| measure | is | can be narrowed by |", "|---|---|---|", *rows])


def checks() -> str:
    rows = [f"| `{name}` | {check.promise} |" for name, check in ALWAYS.items()]
    return "\n".join(["| check | promises |", "|---|---|", *rows])


def keys() -> str:
    models: dict[str, type[BaseModel]] = {
        "scenario": Scenario,
        "client": ClientRequest,
        "client.retry": RetryRequest,
        "client.breaker": BreakerRequest,
        "client.health": HealthRequest,
        "client.budget": BudgetRequest,
        "workload": Workload,
        "windows": Window,
        "expect": Expectation,
    }
    return "\n\n".join(f"### {title}\n\n{fields(model)}" for title, model in models.items())


def behaviours() -> str:
    return fields(Behaviour, nested=True)


def breaker() -> str:
    return f"```mermaid\n{breaker_diagram().strip()}\n```"


def fields(model: type[BaseModel], *, nested: bool = False) -> str:
    rows = list(field_rows(model, "", nested))
    return "\n".join(["| key | default | |", "|---|---|---|", *rows])


def field_rows(model: type[BaseModel], prefix: str, nested: bool) -> Iterator[str]:
    described = model.model_json_schema()["properties"]
    for name, field in model.model_fields.items():
        inner = inner_model(field.annotation) if nested else None
        told = (field.description or described.get(name, {}).get("description") or "").replace("\n", " ")
        if inner is not None and not told:
            told = sentence(inner)
        default = "required" if field.is_required() else "" if inner else f"`{shown(field.get_default())}`"
        yield f"| `{prefix}{name}` | {default} | {told.replace('|', '&#124;')} |"
        if inner is not None:
            yield from field_rows(inner, f"{prefix}{name}.", nested)


def inner_model(annotation: Any) -> type[BaseModel] | None:
    for candidate in (annotation, *getattr(annotation, "__args__", ())):
        if inspect.isclass(candidate) and issubclass(candidate, BaseModel):
            return candidate
    return None


def settings(kind: type[BaseModel]) -> str:
    """The settings of a fault kind, with their defaults."""
    told = []
    for name, field in kind.model_fields.items():
        told.append(f"`{name}`" if field.is_required() else f"`{name}` = {shown(field.get_default())}")
    return ", ".join(told)


def shown(value: Any) -> str:
    value = getattr(value, "value", value)
    if isinstance(value, BaseModel):
        return "..."
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def sentence(thing: type) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())


PARTS = {
    "fault-kinds": fault_kinds,
    "measures": measures,
    "checks": checks,
    "keys": keys,
    "behaviours": behaviours,
    "breaker": breaker,
}

if __name__ == "__main__":
    sys.exit(main())
