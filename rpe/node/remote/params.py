"""From the params of a remote node, in any of their spellings, to its settings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from rpe.node.remote.fallback import read_fallback
from rpe.node.remote.fields import Fields
from rpe.node.remote.pools import read_pool
from rpe.node.remote.settings import RemoteSettings
from rpe.policy.chain_step import ChainSettings
from rpe.transport.ports import Metadata

__all__ = ["read_params"]

MOST_TIMEOUT_MS = 300_000
_KEY = re.compile(r"[a-z0-9_.-]+")
_OURS = ("rpe-", "grpc-", ":")
_CREDENTIALS = frozenset(["authorization", "proxy-authorization", "cookie"])


def read_params(
    raw: Mapping[str, Any], where: str, *, streaming: bool
) -> tuple[RemoteSettings | None, list[str]]:
    """Return the settings and every problem; None where there is a problem.

    streaming: whether the node holds a session, for which no answers can be cached.
    """
    problems: list[str] = []
    fields = Fields(raw, where, problems)
    timeout_s = fields.ms("timeout_ms", default_s=30.0, most=MOST_TIMEOUT_MS)
    repeatable = fields.flag("repeatable", default=True)
    primary = read_pool(fields, timeout_s)
    metadata = _metadata(fields)
    check = fields.flag("check_node_types", default=True)
    steps = fields.list("fallback")
    chain = _chain(fields)
    fields.end()
    fallback = [
        step
        for index, (path, item) in enumerate(steps, start=1)
        if (step := read_fallback(Fields(item, path, problems), primary, index, streaming=streaming))
    ]
    names = Counter([*([] if primary is None else [primary.name]), *(step.name for step in fallback)])
    problems += [
        f"{where}.fallback: {count} steps are called {name!r}" for name, count in names.items() if count > 1
    ]
    if problems or primary is None:
        return None, problems
    return RemoteSettings(
        primary=primary,
        timeout_s=timeout_s,
        repeatable=repeatable,
        metadata=metadata,
        check_node_types=check,
        fallback=tuple(fallback),
        chain=chain,
    ), []


def _metadata(fields: Fields) -> Metadata:
    inner = fields.object("metadata")
    if inner is None:
        return ()
    pairs: list[tuple[str, str]] = []
    for key, value in inner.raw.items():
        name = key.lower()
        if not _KEY.fullmatch(name) or name.endswith("-bin"):
            fields.tell("metadata", f"has a key that cannot travel: {str(key)[:40]!r}")
        elif name.startswith(_OURS) or name in _CREDENTIALS:
            inner.tell(key, "is a key with a meaning of its own" + _instead(name))
        elif not isinstance(value, str) or not value.isascii() or not value.isprintable():
            inner.tell(key, "must be a text of printable ASCII characters")
        else:
            pairs.append((name, value))
    return tuple(pairs)


def _instead(name: str) -> str:
    return ": use auth_token" if name in _CREDENTIALS else ""


def _chain(fields: Fields) -> ChainSettings:
    """When to leave a step, and how to return to it."""
    inner, usual = fields.object("failback"), ChainSettings()
    if inner is None:
        return usual
    longest_s = usual.max_stay_s
    stay_s = inner.ms("min_stay_ms", default_s=usual.min_stay_s)
    most_s = inner.ms("max_stay_ms", default_s=max(longest_s, stay_s))
    if most_s < stay_s:
        inner.tell("max_stay_ms", "must not be below min_stay_ms")
        most_s = stay_s
    settings = ChainSettings(
        failure_threshold=inner.integer("failure_threshold", default=usual.failure_threshold, least=1),
        success_threshold=inner.integer("success_threshold", default=usual.success_threshold, least=1),
        min_stay_s=stay_s,
        max_stay_s=most_s,
        calm_s=inner.ms("calm_ms", default_s=usual.calm_s, least=0),
        max_attempts=inner.integer("max_attempts", default=usual.max_attempts, least=1),
    )
    inner.end()
    return settings
