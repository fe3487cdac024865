"""Which nodes stand for pipelines on other machines, and on which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rpe.errors import ManifestInvalid
from rpe.manifest.nodes import Node

__all__ = ["MAX_HOPS", "REMOTE_NODE_TYPES", "is_remote", "read_endpoints"]

REMOTE_NODE_TYPES = frozenset(["RemotePipelineNode", "RemotePipeline"])

MAX_HOPS = 10
"""How long a chain of pipelines that call each other on other machines may be."""


def is_remote(node: Node) -> bool:
    """Whether the node stands for a pipeline on another machine."""
    return node.node_type in REMOTE_NODE_TYPES


def read_endpoints(params: Mapping[str, Any], where: str = "params") -> tuple[str, ...]:
    """The endpoints in the order written, from `endpoint` or `endpoints`. Raises ManifestInvalid."""
    one, several = params.get("endpoint"), params.get("endpoints")
    if (one is None) == (several is None):
        raise _invalid([f"{where} needs endpoint or endpoints" + ("" if one is None else ", not both")])
    if one is not None:
        given: tuple[Any, ...] = (one,)
        names = [f"{where}.endpoint"]
    elif isinstance(several, list | tuple) and several:
        given = tuple(several)
        names = [f"{where}.endpoints[{index}]" for index in range(len(given))]
    else:
        raise _invalid([f"{where}.endpoints must be a list of at least one address"])
    pairs = zip(names, given, strict=True)
    wrong = [name for name, value in pairs if not isinstance(value, str) or not value.strip()]
    if wrong:
        raise _invalid([f"{name} must be an address" for name in wrong])
    return given


def _invalid(problems: list[str]) -> ManifestInvalid:
    return ManifestInvalid("a remote node is not valid", problems=problems)
