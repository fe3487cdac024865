"""Asks servers which node types they have, so that a pipeline that cannot run there is refused at once."""

from __future__ import annotations

import asyncio
from itertools import islice

from rpe.errors import ManifestInvalid, RpeError
from rpe.node.remote.shared import Pool, Remote
from rpe.transport.ports import PipelineClient

__all__ = ["check_node_types"]

_LONGEST_S = 2.0
"""A server that does not say it soon will be asked for its work all the same."""

_MOST_ASKED = 3
"""Endpoints of one pool; they are replicas of each other."""


async def check_node_types(remote: Remote) -> bool:
    """Check the node's own pool; say whether any server answered, so that it need not be asked again.

    Raises ManifestInvalid with the types that are missing, the node and the endpoint. Servers that do
    not answer, and those that list nothing, are passed over: their answers to calls will tell.
    """
    pool = remote.primary
    told = await _first_told(pool, min(_LONGEST_S, remote.settings.timeout_s), remote)
    if told is None:
        return False
    endpoint, known = told
    if not known:
        return True
    missing = sorted({node.node_type for node in pool.manifest.nodes} - known)
    if missing:
        raise ManifestInvalid(
            "the server cannot run this pipeline",
            problems=[f"it has no node type {name!r}" for name in missing],
            node=remote.node_id,
            endpoint=endpoint,
            hint=f"it has: {', '.join(sorted(known)[:20])}",
        )
    return True


async def _first_told(pool: Pool, limit_s: float, remote: Remote) -> tuple[str, frozenset[str]] | None:
    """The endpoint that is the first to list its node types, and these; all are asked at once.

    An endpoint with an empty list where some answered, but none with more.
    """
    answered: tuple[str, frozenset[str]] | None = None
    asked = [
        asyncio.create_task(_ask(client, limit_s), name=f"node types of {endpoint}")
        for endpoint, client in islice(pool.endpoints.clients.items(), _MOST_ASKED)
    ]
    try:
        async with remote.clock.deadline(remote.clock.now() + limit_s):
            for answer in asyncio.as_completed(asked):
                answered = await answer or answered
                if answered is not None and answered[1]:
                    break
    except TimeoutError:
        pass
    finally:
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
    return answered


async def _ask(client: PipelineClient, limit_s: float) -> tuple[str, frozenset[str]] | None:
    try:
        report = await client.get_version(timeout_s=limit_s)
    except RpeError:
        return None
    return client.endpoint, frozenset(report.node_types)
