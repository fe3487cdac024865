"""Pipelines with remote nodes, for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from rpe.data import RuntimeData, Text
from rpe.manifest.model import Connection, Manifest, Node
from rpe.node import PipelineRunner, RemoteOptions
from rpe.transport.registry import get_transport
from rpe.transport.serving import PipelineHandler

QUICK = {"retry": {"max_retries": 0}, "health_check": {"enabled": False}}
"""No second attempt, and nothing that happens beside the calls."""


def inline(node_type: str = "Echo", **params: Any) -> dict[str, Any]:
    """A remote pipeline of one node, called `far`."""
    return {"version": "v1", "nodes": [{"id": "far", "node_type": node_type, "params": params}]}


def remote(
    endpoint: str | Sequence[str],
    wire: str = "grpc",
    *,
    streaming: bool = False,
    node_id: str = "r",
    manifest: Any = None,
    alias: bool = False,
    **params: Any,
) -> Node:
    """A remote node whose pipeline echoes, unless told otherwise."""
    where = {"endpoint": endpoint} if isinstance(endpoint, str) else {"endpoints": list(endpoint)}
    named = any(key in params for key in ("manifest_url", "pipeline_name", "manifest_source"))
    source = {} if named else {"manifest": manifest or inline()}
    return Node(
        node_id,
        "RemotePipeline" if alias else "RemotePipelineNode",
        {"transport": wire, **where, **source, **QUICK, **params},
        is_streaming=streaming,
    )


def pipeline(*nodes: Node, edges: Iterable[str] = (), **options: Any) -> PipelineRunner:
    """A runner of these nodes and of pass-through nodes for all others that edges ("a b") name."""
    pairs = [tuple(edge.split()) for edge in edges]
    known = {node.id for node in nodes}
    others = dict.fromkeys(name for pair in pairs for name in pair if name not in known)
    manifest = Manifest(
        name="here",
        nodes=(*nodes, *(Node(name, "PassThrough") for name in others)),
        connections=tuple(Connection(a, b) for a, b in pairs),
    )
    chosen = RemoteOptions(seed=1, **options)
    return PipelineRunner(manifest, remote=chosen)


def texts(items: Iterable[RuntimeData]) -> list[str]:
    return [item.text for item in items if isinstance(item, Text)]


@asynccontextmanager
async def served(handler: PipelineHandler, wire: str) -> AsyncIterator[str]:
    """A handler at an endpoint of a wire."""
    async with get_transport(wire).create_server(handler, {}) as server:
        yield server.endpoint
