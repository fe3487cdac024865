"""The subject of a scenario whose pipeline runs in the client: a local runner with remote nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rpe.chaos.subject import SubjectContext, SubjectOperation
from rpe.clock import SYSTEM_CLOCK
from rpe.data import RuntimeData
from rpe.manifest.model import Manifest
from rpe.manifest.remote import REMOTE_NODE_TYPES
from rpe.node import PipelineRunner
from rpe.node.context import RunContext
from rpe.node.remote.options import RemoteOptions
from rpe.telemetry.record import Observer

__all__ = ["PipelineSubject", "without_reliability"]

_RELIABILITY = (
    "retry",
    "circuit_breaker",
    "load_balance",
    "load_balance_strategy",
    "health_check",
    "health_check_interval_secs",
    "fallback",
    "failback",
)


class PipelineSubject:
    """Fills `rpe.chaos.subject.Subject` with a runner of the local pipeline. It has no sessions.

    An operation feeds one piece to the pipeline and collects all that comes out of it.
    """

    def __init__(self, context: SubjectContext, manifest: Manifest, observer: Observer | None = None) -> None:
        observers = () if observer is None else (observer,)
        self._runner = PipelineRunner(manifest, remote=RemoteOptions(seed=context.seed, observers=observers))
        self._running = 0

    async def open(self) -> PipelineSubject:
        """Connect the remote nodes; health checks run from now on."""
        await self._runner.__aenter__()
        return self

    async def execute(self, operation: SubjectOperation) -> Mapping[str, RuntimeData]:
        """Run the pipeline once over the inputs. Raises NodeFailed."""
        self._running += 1
        try:
            context = RunContext(0, SYSTEM_CLOCK.now() + operation.timeout_s, operation.op)
            given = await self._runner.run(operation.inputs, context=context)
        finally:
            self._running -= 1
        return {
            f"{node}.{position}" if position else node: data
            for node, items in given.items()
            for position, data in enumerate(items)
        }

    async def open_stream(self, operation: SubjectOperation) -> Any:
        """There are no sessions here. Raises NotImplementedError."""
        raise NotImplementedError("a pipeline in the client is run operation by operation")

    def in_flight(self) -> int:
        """Return how many runs are under way."""
        return self._running

    async def close(self) -> None:
        """Close the connections of the remote nodes."""
        await self._runner.__aexit__(None, None, None)


def without_reliability(manifest: Manifest) -> Manifest:
    """Return the pipeline with remote nodes that try once, at their first endpoint, and never elsewhere."""
    written = manifest.to_dict()
    for node in written["nodes"]:
        if node["node_type"] not in REMOTE_NODE_TYPES:
            continue
        params = {key: value for key, value in node["params"].items() if key not in _RELIABILITY}
        params["endpoints"] = params["endpoints"][:1]
        params["retry"] = {"max_retries": 0}
        params["repeatable"] = False
        node["params"] = params
    return Manifest.from_dict(written)
