"""The JSON Schema of manifests, for editors and for checks in other languages.

It says what can be said of the form of a manifest. What its parts must agree on (ids, connections,
circles, kinds of data) and what each node type wants in its params only the checks of this package know.
"""

from __future__ import annotations

from typing import Any

from rpe.manifest.checks import VERSION
from rpe.manifest.nodes import DataTypeHint, RuntimeHint
from rpe.manifest.remote import REMOTE_NODE_TYPES
from rpe.manifest.remote_schema import remote_params

__all__ = ["manifest_schema"]


def manifest_schema() -> dict[str, Any]:
    """Return the schema (JSON Schema 2020-12); the caller's to change."""
    text = {"type": "string"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "rpe pipeline manifest",
        "type": "object",
        "required": ["version", "nodes"],
        "properties": {
            "version": {"const": VERSION},
            "metadata": {
                "type": "object",
                "description": "Labels for people; no server acts on them.",
                "properties": {"name": text, "description": text, "created_at": text},
            },
            "nodes": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/Node"}},
            "connections": {"type": "array", "items": {"$ref": "#/$defs/Connection"}},
        },
        "$defs": {
            "Node": _node(),
            "Connection": {
                "type": "object",
                "description": "Data flows from one node to another.",
                "required": ["from", "to"],
                "properties": {"from": text, "to": text},
            },
            "Capabilities": _capabilities(),
            **remote_params(),
        },
    }


def _node() -> dict[str, Any]:
    hints = {"type": "array", "items": {"enum": [str(hint) for hint in DataTypeHint]}}
    return {
        "type": "object",
        "required": ["id", "node_type"],
        "properties": {
            "id": {"type": "string", "pattern": r"\S", "description": "Unique among the nodes."},
            "node_type": {"type": "string", "pattern": r"\S"},
            "params": {"type": "object", "description": "The settings of the node."},
            "is_streaming": {
                "type": "boolean",
                "description": "It gives results while its input still comes.",
            },
            "is_output_node": {"type": "boolean", "description": "Its results leave the pipeline."},
            "capabilities": {"$ref": "#/$defs/Capabilities"},
            "host": {
                "type": "string",
                "description": "Where it is to run; empty for wherever the pipeline runs.",
            },
            "runtime_hint": {"enum": [str(hint) for hint in RuntimeHint]},
            "input_types": hints,
            "output_types": hints,
        },
        "if": {"properties": {"node_type": {"enum": sorted(REMOTE_NODE_TYPES)}}, "required": ["node_type"]},
        "then": {"required": ["params"], "properties": {"params": {"$ref": "#/$defs/RemoteParams"}}},
    }


def _capabilities() -> dict[str, Any]:
    amount = {"type": "number", "minimum": 0}
    return {
        "type": "object",
        "description": "What a node needs of its machine.",
        "properties": {
            "gpu": {
                "type": "object",
                "properties": {
                    "type": {"type": "string"},
                    "min_memory_gb": amount,
                    "required": {"type": "boolean"},
                },
            },
            "cpu": {
                "type": "object",
                "properties": {"cores": {"type": "integer", "minimum": 0}, "arch": {"type": "string"}},
            },
            "memory_gb": amount,
        },
    }
