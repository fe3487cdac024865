"""An honest pipeline server: it runs the pipelines of its callers on the node types it has."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.data import RuntimeData
from rpe.errors import RpeError
from rpe.manifest.model import Manifest
from rpe.node.context import RunContext
from rpe.node.registry import NodeRegistry, default_registry
from rpe.node.remote.options import RemoteOptions
from rpe.node.runner import PipelineRunner
from rpe.node.serving.admission import Places, ServiceLimits, TokenRule, check_token
from rpe.node.serving.arrival import TooFar, arrival
from rpe.node.serving.failing import told
from rpe.node.serving.runners import Runners
from rpe.node.serving.session import serve_session
from rpe.transport.serving import (
    Answer,
    ApplicationError,
    Refusal,
    Reply,
    ServerCall,
    ServerSession,
    StatusCode,
    VersionAnswer,
)

__all__ = ["STRANGERS", "PipelineService"]

STRANGERS = RemoteOptions(environment={}, files=False)
"""What the remote nodes in a caller's pipeline may use of this machine: no variables, and no files."""


class PipelineService:
    """Fills `rpe.transport.serving.PipelineHandler`; one service can stand behind several wires.

    A pipeline is made ready at its first call and kept, so that what its nodes share (connections
    to other servers, and their breakers) lives from call to call. `close` lets go of it all, once the
    servers before it have stopped.

    Arguments:
        registry: the node types; those of the process where it is None.
        token: who is let in. Health checks go without.
        limits: how much is worked on at once.
        remote: what remote nodes in the pipelines of callers may use; a manifest chooses both the
            secret and the server it is sent to, so by default there are none.
        runtime_version: what the service calls itself.
        clock: what deadlines are kept by, and what nodes wait by.
    """

    def __init__(
        self,
        registry: NodeRegistry | None = None,
        *,
        token: TokenRule = None,
        limits: ServiceLimits | None = None,
        remote: RemoteOptions = STRANGERS,
        runtime_version: str = "rpe",
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        limits = limits or ServiceLimits()
        self._registry = default_registry() if registry is None else registry
        self._remote = remote
        self._runtime_version = runtime_version
        self._clock = clock
        self._check = check_token(token)
        self._runs = Places("executions", limits.runs, limits.retry_after_s)
        self._sessions = Places("sessions", limits.sessions, limits.retry_after_s)
        self._runners = Runners(self._make_runner, limits.pipelines)
        self._draining = asyncio.Event()

    async def execute(self, call: ServerCall, manifest: Manifest, inputs: Mapping[str, RuntimeData]) -> Reply:
        """Run a pipeline once."""
        began_s = self._clock.now()
        await self._check(call)
        try:
            async with self._admitted(call, manifest, self._runs) as (runner, context):
                given = await runner.run(inputs, context=context)
        except _Failed as failed:
            return failed.error
        outputs: dict[str, RuntimeData] = {}
        for node_id, results in given.items():
            name = _output_name(runner, node_id)
            outputs |= {f"{name}.{i}" if i else name: data for i, data in enumerate(results)}
        return Answer(outputs, wall_time_ms=(self._clock.now() - began_s) * 1000)

    async def stream(self, call: ServerCall, session: ServerSession) -> None:
        """Serve a session: each chunk goes through the pipeline, and its results go back with its number."""
        await self._check(call)
        try:
            async with (
                self._admitted(call, session.manifest, self._sessions) as (runner, context),
                runner.tagged_stream(context=context) as stream,
            ):
                await session.ready(secrets.token_hex(8))
                await serve_session(session, stream, partial(_output_name, runner), self._clock)
        except _Failed as failed:
            await session.send_error(failed.error)
        else:
            await session.closed("closed by the caller")

    async def version(self, call: ServerCall) -> VersionAnswer:
        """Say which node types there are."""
        await self._check(call)
        return VersionAnswer(self._registry.names(), runtime_version=self._runtime_version)

    async def admit(self, call: ServerCall) -> None:
        """Let a caller in who shakes hands before it calls anything."""
        await self._check(call)

    def idle_timeout_s(self) -> float | None:
        """Leave the closing of idle connections to the server."""
        return None

    def idle_closed(self) -> None:
        """Nothing hangs on an idle connection."""

    def serving(self) -> bool:
        """Say whether it takes calls: until `drain`."""
        return not self._draining.is_set()

    async def health(self, call: ServerCall, last: bool | None) -> bool:
        """Answer a health check, once the answer differs from `last`."""
        if last is True:
            await self._draining.wait()
        elif last is False:
            await asyncio.get_running_loop().create_future()  # it is never taken back
        return self.serving()

    def drain(self) -> None:
        """Answer health checks with NOT_SERVING from now on. Calls are taken all the same."""
        self._draining.set()

    async def close(self) -> None:
        """Close every pipeline. To be called when the servers before it have stopped; once is enough."""
        self.drain()
        await self._runners.close()

    @asynccontextmanager
    async def _admitted(
        self, call: ServerCall, manifest: Manifest, places: Places
    ) -> AsyncIterator[tuple[PipelineRunner, RunContext]]:
        """Give what a call runs with; inside, it has a place and until its deadline.

        Raises Refusal, and _Failed for what ends the run.
        """
        try:
            context, gives_up_s = arrival(call, self._clock.now())
        except TooFar as far:
            raise _Failed(far.error) from far
        try:
            with places.one():
                async with self._clock.deadline(gives_up_s), self._runners.use(manifest) as runner:
                    yield runner, context
        except RpeError as error:
            raise _Failed(told(error, manifest, context.hops)) from error
        except TimeoutError as error:
            if gives_up_s is None or self._clock.now() < gives_up_s:
                raise
            raise Refusal(
                StatusCode.DEADLINE_EXCEEDED, "the pipeline took longer than the caller gave it"
            ) from error

    def _make_runner(self, manifest: Manifest) -> PipelineRunner:
        return PipelineRunner(manifest, self._registry, clock=self._clock, remote=self._remote)


class _Failed(Exception):
    """The pipeline has failed; `error` is what the caller is told."""

    def __init__(self, error: ApplicationError) -> None:
        super().__init__(error.message)
        self.error = error


def _output_name(runner: PipelineRunner, node_id: str) -> str:
    """The name of an output in an answer: `output` where there is only one, else the node's id."""
    return "output" if len(runner.outputs) == 1 else node_id
