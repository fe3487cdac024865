"""What all runs of a remote node share: its clients with their breakers, its chain, its figures."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from rpe.client.pool import EndpointPool
from rpe.client.reliable import ReliableClient
from rpe.clock import Clock
from rpe.data import RuntimeData
from rpe.errors import RemoteTimeout, RpeError
from rpe.manifest.model import Manifest
from rpe.node.context import RunContext
from rpe.node.remote.metrics import RemoteMeter
from rpe.node.remote.settings import CachedSpec, LocalSpec, PoolSpec, RemoteSettings
from rpe.transport.ports import ExecutionResult, Metadata

if TYPE_CHECKING:
    from rpe.client.fallback import FallbackChain
    from rpe.node.runner import PipelineRunner

__all__ = ["Local", "Pool", "Remote", "Step"]


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool of endpoints that is open, and the pipeline that it runs."""

    spec: PoolSpec
    client: ReliableClient
    endpoints: EndpointPool
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Local:
    """A pipeline of this process that is open."""

    spec: LocalSpec
    runner: PipelineRunner


_LONGEST_NAME = 200
"""How much of the name of an operation is kept: it grows from machine to machine, and travels in a header."""

Step = Pool | Local | CachedSpec
"""A step of a remote node, ready."""


class Remote:
    """One remote node of a runner, ready to be called by any number of runs at once."""

    def __init__(
        self,
        node_id: str,
        settings: RemoteSettings,
        steps: tuple[Step, ...],
        chain: FallbackChain | None,
        meter: RemoteMeter,
        clock: Clock,
    ) -> None:
        self.node_id = node_id
        self.settings = settings
        self._steps = steps
        self.meter = meter
        self.clock = clock
        self.chain = chain
        self._calls = itertools.count()

    @property
    def primary(self) -> Pool:
        """The pool that is asked first."""
        pool = self._steps[0]
        assert isinstance(pool, Pool)  # whoever opens the node sees to it
        return pool

    @property
    def locals(self) -> tuple[Local, ...]:
        """The pipelines of this process that are fallen back on."""
        return tuple(step for step in self._steps if isinstance(step, Local))

    def pool_of(self, endpoint: str) -> Pool:
        """The first pool that has this endpoint; the primary where none has."""
        pools = (step for step in self._steps if isinstance(step, Pool))
        return next((pool for pool in pools if endpoint in pool.spec.endpoints), self.primary)

    async def execute(self, data: RuntimeData, context: RunContext) -> ExecutionResult:
        """Run the pipeline once on one item, within the node's timeout and the run's deadline.

        Raises an error of `rpe.errors` that names the endpoints.
        """
        started_s = self.clock.now()
        try:
            timeout_s, metadata = self.limit_s(context, started_s), self.metadata(context)
            step, result = await self._run(data, timeout_s, metadata, context)
        except RpeError as error:
            self.failed(error)
            raise
        self.meter.answered(step, partial=result.partial)
        self.meter.took(self.clock.now() - started_s)
        return result

    def limit_s(self, context: RunContext, now_s: float) -> float:
        """The seconds that an execution may take from now on. Raises RemoteTimeout where none are left."""
        left_s = context.remaining_s(now_s)
        if left_s is None:
            return self.settings.timeout_s
        if not left_s:
            raise RemoteTimeout(
                "the deadline of the run had passed before this was sent",
                maybe_executed=False,
                retryable=False,
                hint="whoever asked for this run gave it too little time",
            )
        return min(left_s, self.settings.timeout_s)

    def metadata(self, context: RunContext) -> Metadata:
        """The pairs that travel with a call from that run."""
        return (*self.settings.metadata, context.onward())

    def operation_id(self, context: RunContext) -> str | None:
        """The name of the next call from that run; None where the run has none."""
        if not context.operation_id:
            return None
        return f"{context.operation_id[:_LONGEST_NAME]}/{quote(self.node_id)}/{next(self._calls)}"

    def failed(self, error: RpeError) -> None:
        """Count a call that failed for good, and name where, if the error does not."""
        if error.endpoint is None:
            tried = dict.fromkeys(attempt.endpoint for attempt in error.attempts)
            error.endpoint = ", ".join(tried or self.primary.spec.endpoints)
        self.meter.failed(error)

    async def _run(
        self, data: RuntimeData, timeout_s: float, metadata: Metadata, context: RunContext
    ) -> tuple[str, ExecutionResult]:
        if self.chain is None:
            primary = self.primary
            inputs: Mapping[str, RuntimeData] = {primary.manifest.entry: data}
            result = await primary.client.execute(
                primary.manifest,
                inputs,
                timeout_s=timeout_s,
                repeatable=self.settings.repeatable,
                operation_id=self.operation_id(context),
                metadata=metadata,
            )
            return primary.spec.name, result
        from rpe.client.fallback import LONE_INPUT
        from rpe.node.remote.chains import RUN

        token = RUN.set(context)
        try:
            outcome = await self.chain.execute(
                {LONE_INPUT: data},
                timeout_s=timeout_s,
                repeatable=self.settings.repeatable,
                operation_id=self.operation_id(context),
                metadata=metadata,
            )
        finally:
            RUN.reset(token)
        return outcome.step, outcome.result
