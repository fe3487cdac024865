"""Reads one step that a remote node falls back on: another pool, a pipeline here, or the last good answer."""

from __future__ import annotations

from rpe.errors import ManifestInvalid
from rpe.manifest.model import Manifest
from rpe.manifest.nodes import Node
from rpe.node.remote.fields import Fields
from rpe.node.remote.pools import read_pool
from rpe.node.remote.settings import CachedSpec, Fallback, LocalSpec, PoolSpec

__all__ = ["LOCAL_NODE", "read_fallback"]

LOCAL_NODE = "local"
"""The id of the node that is written as a type and params only."""

_LONGEST_MS = 300_000


def read_fallback(
    fields: Fields, primary: PoolSpec | None, number: int, *, streaming: bool
) -> Fallback | None:
    """Read the step with that number, from 1; None where a problem left nothing to make it of."""
    if "cached" in fields:
        return _cached(fields, streaming=streaming)
    if "endpoint" in fields or "endpoints" in fields:
        return _pool(fields, primary, number)
    if "node_type" in fields or "manifest" in fields:
        return _local(fields)
    fields.problems.append(
        f"{fields.where} must have endpoint or endpoints (a pool), manifest or node_type (a pipeline here), "
        "or cached"
    )
    return None


def _pool(fields: Fields, primary: PoolSpec | None, number: int) -> PoolSpec | None:
    name = fields.text("name") or f"fallback {number}"
    timeout_s = fields.ms(
        "timeout_ms", default_s=30.0 if primary is None else primary.client.timeout_s, most=_LONGEST_MS
    )
    # Where the primary pool cannot be read, that is told already: what this one leaves out is then unknown.
    known = len(fields.problems)
    pool = read_pool(fields, timeout_s, name=name, base=primary)
    if primary is None:
        del fields.problems[known:]
    else:
        fields.end()
    return pool


def _local(fields: Fields) -> LocalSpec | None:
    name = fields.text("name")
    timeout_s = fields.ms("timeout_ms", default_s=0, most=_LONGEST_MS) or None
    node_type, params = fields.text("node_type"), fields.object("params")
    _, written = fields.one_of("manifest")
    fields.end()
    if written is not None:
        for key in ("node_type", "params"):
            if key in fields:
                fields.tell(key, "stands beside manifest: give one of them")
    elif node_type is None:
        return None
    try:
        if written is None:
            node = Node(LOCAL_NODE, str(node_type), {} if params is None else params.raw)
            manifest = Manifest(name=str(node_type), nodes=(node,))
        else:
            manifest = written if isinstance(written, Manifest) else Manifest.from_dict(written)
    except ManifestInvalid as error:
        at = f"{fields.where}.manifest: " if written is not None else f"{fields.where}: "
        fields.problems.extend(at + told for told in error.problems)
        return None
    return LocalSpec(
        name=name or manifest.name or LOCAL_NODE, manifest=manifest, timeout_s=timeout_s, where=fields.where
    )


def _cached(fields: Fields, *, streaming: bool) -> CachedSpec | None:
    name = fields.text("name") or "cached"
    inner = fields.object("cached")
    fields.end()
    assert inner is not None
    if "max_age_ms" not in inner:
        inner.tell("max_age_ms", "is missing")
    max_age_s = inner.ms("max_age_ms", default_s=60.0, most=7 * 24 * 3600 * 1000)
    inner.end()
    if streaming:
        fields.tell("cached", "keeps answers to executions, and this node is_streaming")
        return None
    return CachedSpec(name=name, max_age_s=max_age_s)
