"""The JSON Schema of the load plan, for editors: every key and name, and what it means."""

from __future__ import annotations

import copy
from typing import Any

from rpe.loadtest.measures import MEASURES
from rpe.loadtest.model import model_schema

__all__ = ["json_schema"]


def json_schema() -> dict[str, Any]:
    """Return the schema: what the model says, and all measures with what they mean."""
    schema = copy.deepcopy(model_schema())
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "rpe load plan"
    gate = schema["$defs"]["Gate"]
    gate["properties"]["measure"]["oneOf"] = [
        {"const": measure.name, "description": measure.description} for measure in MEASURES.values()
    ]
    gate["anyOf"] = [{"required": [bound]} for bound in ("at_least", "at_most", "equals")]
    schema["allOf"] = [
        {"oneOf": [{"required": ["servers"]}, {"required": ["endpoints"]}]},
        {"oneOf": [{"required": ["load"]}, {"required": ["users"]}]},
    ]
    return schema
