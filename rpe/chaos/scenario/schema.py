"""The JSON Schema of the scenario file, for editors: every key and name, and what it means."""

from __future__ import annotations

from typing import Any

from rpe.chaos.check import ALWAYS
from rpe.chaos.check.measures import MEASURES
from rpe.chaos.scenario.model import Scenario

__all__ = ["json_schema"]


def json_schema() -> dict[str, Any]:
    """Return the schema: what the model says, and all measures and checks with what they mean."""
    schema = Scenario.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "rpe scenario"
    definitions = schema["$defs"]
    definitions["Expectation"]["properties"]["measure"]["oneOf"] = [
        {"const": measure.name, "description": _measured(measure.description, measure.takes, measure.needs)}
        for measure in MEASURES.values()
    ]
    definitions["Expectation"]["anyOf"] = [
        {"required": [bound]} for bound in ("at_least", "at_most", "equals")
    ]
    definitions["Allowance"]["properties"]["check"]["oneOf"] = [
        {"const": check.name, "description": check.promise} for check in ALWAYS.values() if check.waivable
    ]
    workload = schema["properties"]["workload"]
    workload["anyOf"] = [
        {"$ref": "#/$defs/Workload"},
        {"type": "array", **_moved(workload, "items", "minItems")},
    ]
    workload.pop("type", None)
    return schema


def _measured(description: str, takes: frozenset[str], needs: frozenset[str]) -> str:
    filters = [f"{name} (needed)" if name in needs else name for name in sorted(takes)]
    return f"{description} Filters: {', '.join(filters)}." if filters else description


def _moved(schema: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: schema.pop(name) for name in names if name in schema}
