"""What pools, servers and the remote nodes of a pipeline must agree on with each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rpe.chaos.scenario.model import Scenario
from rpe.chaos.scenario.pools import FILLED_IN, POOL
from rpe.chaos.scenario.wording import did_you_mean
from rpe.lined_yaml import Path
from rpe.manifest.remote import REMOTE_NODE_TYPES
from rpe.transport.registry import get_transport

__all__ = ["fallback_pools", "pool_mistakes", "remote_nodes", "wires"]


def wires(scenario: Scenario, transport: str) -> dict[str, str]:
    """Return the wire of each server, where `transport` is that of the cell."""
    chosen = dict.fromkeys(scenario.servers, transport)
    for pool in scenario.pools.values():
        chosen |= dict.fromkeys(pool.servers, pool.transport or transport)
    return chosen


def remote_nodes(manifest: Mapping[str, Any]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Return the remote nodes of a manifest as it is written, with their positions."""
    nodes = manifest.get("nodes")
    for position, node in enumerate(nodes if isinstance(nodes, list | tuple) else ()):
        if isinstance(node, Mapping) and node.get("node_type") in REMOTE_NODE_TYPES:
            yield position, node


def pool_mistakes(scenario: Scenario, known: frozenset[str]) -> Iterator[tuple[Path, str]]:
    """Return what is wrong between pools, servers and remote nodes. `known`: further names that exist."""
    if not scenario.pools:
        return
    owners: dict[str, str] = {}
    for name, pool in scenario.pools.items():
        path: Path = ("pools", name, "servers")
        for server in pool.servers:
            if server not in scenario.servers and server not in known:
                yield path, f"there is no server {server!r}; {did_you_mean(server, scenario.servers)}"
            elif server in owners:
                yield path, f"the server {server!r} is in the pool {owners[server]!r} already"
            owners.setdefault(server, name)
        if pool.tls and pool.transport is not None and _has_datagrams(pool.transport):
            yield ("pools", name, "tls"), f"no fault could act on {pool.transport} behind TLS; leave it out"
    for server in scenario.servers:
        if server not in owners:
            yield ("servers", server), "it is in no pool, so nothing would be sent to it"
    if isinstance(scenario.manifest, str):
        yield (
            ("manifest",),
            "a scenario with pools needs a whole manifest: the pipeline that runs in the client",
        )
        return
    for position, workload in enumerate(scenario.workload):
        if workload.kind != "unary" or workload.input != "recordings":
            yield (
                ("workload", position),
                "a pipeline in the client is given whole recordings: unary, input: recordings",
            )
    used: set[str] = set()
    for position, node in remote_nodes(scenario.manifest):
        where: Path = ("manifest", "nodes", position, "params")
        params = node.get("params")
        yield from _step_mistakes(where, params if isinstance(params, Mapping) else {}, scenario, used)
        for number, step in fallback_pools(node):
            yield from _step_mistakes((*where, "fallback", number), step, scenario, used)
    for name in scenario.pools:
        if name not in used:
            yield ("pools", name), "no remote node of the manifest names it"


def fallback_pools(node: Mapping[str, Any]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Return the steps of a remote node that fall back on a pool, with their positions."""
    params = node.get("params")
    steps = params.get("fallback") if isinstance(params, Mapping) else None
    for number, step in enumerate(steps if isinstance(steps, list | tuple) else ()):
        if isinstance(step, Mapping) and POOL in step:
            yield number, step


def _step_mistakes(
    where: Path, params: Mapping[str, Any], scenario: Scenario, used: set[str]
) -> Iterator[tuple[Path, str]]:
    named = params.get(POOL)
    if not isinstance(named, str) or named not in scenario.pools:
        yield where, f"{POOL} must name one of the pools: {', '.join(scenario.pools)}"
        return
    used.add(named)
    for name in FILLED_IN:
        if name in params:
            yield (*where, name), f"is what the pool {named!r} stands for; leave it out"


def _has_datagrams(transport: str) -> bool:
    return bool(getattr(get_transport(transport), "datagrams", False))
