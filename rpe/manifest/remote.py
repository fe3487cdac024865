"""What a remote node says about itself: which pipeline it stands for, and where that runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rpe.errors import ManifestInvalid
from rpe.manifest.nodes import Node
from rpe.manifest.sources.source import ManifestSource, read_source
from rpe.manifest.sources.variables import expand

__all__ = ["REMOTE_NODE_TYPES", "RemoteTarget", "is_remote", "read_endpoints", "read_remote"]

REMOTE_NODE_TYPES = frozenset(["RemotePipelineNode", "RemotePipeline"])


@dataclass(frozen=True, slots=True)
class RemoteTarget:
    """The pipeline behind a remote node; credentials in it are expanded."""

    source: ManifestSource
    endpoints: tuple[str, ...]
    auth_token: str | None = field(default=None, repr=False)


def is_remote(node: Node) -> bool:
    """Whether the node stands for a pipeline on another machine."""
    return node.node_type in REMOTE_NODE_TYPES


def read_remote(
    params: Mapping[str, Any], environment: Mapping[str, str], where: str = "params"
) -> RemoteTarget:
    """Read the manifest source, the endpoints and the token of a remote node.

    environment: the variables that `auth_header` and `auth_token` may name; no other field may.
    where: the path of the params in their manifest, for the problems.
    Raises ManifestInvalid with every problem, and ConfigurationError for a variable that is not set.
    """
    problems: list[str] = []
    source: ManifestSource | None = None
    endpoints: tuple[str, ...] = ()
    try:
        source = read_source(params, where)
    except ManifestInvalid as error:
        problems += error.problems
    try:
        endpoints = read_endpoints(params, where)
    except ManifestInvalid as error:
        problems += error.problems
    token = params.get("auth_token")
    if token is not None and (not isinstance(token, str) or not token.strip()):
        problems.append(f"{where}.auth_token must be a text")
    if source is None or problems:
        raise _invalid(problems)
    return RemoteTarget(
        source.expanded(environment),
        endpoints,
        None if token is None else expand(token, environment, f"{where}.auth_token"),
    )


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
