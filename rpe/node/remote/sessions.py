"""Opens the session of a remote node that streams: at its own pool, or at the next step that takes it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from rpe.client.session import StreamSession
from rpe.data import Audio, Control, Image, RuntimeData, Video
from rpe.errors import HopLimitExceeded, RemoteTimeout, RpeError
from rpe.node.context import RunContext
from rpe.node.remote.outputs import in_order
from rpe.node.remote.shared import Remote
from rpe.node.stream import PipelineStream

__all__ = ["Talk", "TalkResult", "open_talk"]


@dataclass(frozen=True, slots=True)
class TalkResult:
    """Outputs in order, and the number of the chunk that they answer; None where that is not known."""

    sequence: int | None
    outputs: tuple[RuntimeData, ...]


class Talk(Protocol):
    """An open session with whatever took it. One task sends, one receives."""

    @property
    def endpoint(self) -> str | None:
        """Where it is now; None for this process."""
        ...

    @property
    def step(self) -> str:
        """The name of the step that holds it now."""
        ...

    async def send(self, data: RuntimeData, sequence: int) -> None:
        """Send a chunk under its number, from 0 upwards, waiting as long as the other side pushes back."""
        ...

    async def receive(self) -> TalkResult | None:
        """Return the next result; None once the session was closed in good order."""
        ...

    async def finish(self) -> None:
        """Say that no chunk follows."""
        ...


@asynccontextmanager
async def open_talk(remote: Remote, context: RunContext) -> AsyncIterator[Talk]:
    """Open a session: at the pools, which it may move between where it is repeatable, or else here.

    On leaving it is ended, if it still runs.
    Raises an error of `rpe.errors` where no step takes it, which then tells them all.
    """
    async with AsyncExitStack() as stack:
        try:
            session = await stack.enter_async_context(await _open(remote, context))
        except HopLimitExceeded:
            raise
        except RpeError as error:
            if not remote.locals:
                raise
            talk = await _begin_here(remote, context, error, stack)
        else:
            talk = _RemoteTalk(session, remote)
        yield talk


async def _open(remote: Remote, context: RunContext) -> StreamSession:
    """Open a session at a pool, within the node's timeout."""
    now_s = remote.clock.now()
    limit_s = remote.limit_s(context, now_s)
    left_s = context.remaining_s(now_s)
    longest_s = remote.primary.spec.client.stream_timeout_s
    timeout_s = longest_s if left_s is None else min(longest_s, left_s)
    metadata, repeatable = remote.metadata(context), remote.settings.repeatable
    operation_id = remote.operation_id(context)
    try:
        async with remote.clock.deadline(now_s + limit_s):
            if remote.chain is not None:
                return await remote.chain.open_stream(
                    timeout_s=timeout_s,
                    repeatable=repeatable,
                    operation_id=operation_id,
                    metadata=metadata,
                )
            primary = remote.primary
            return await primary.client.open_stream(
                primary.manifest,
                timeout_s=timeout_s,
                repeatable=repeatable,
                operation_id=operation_id,
                metadata=metadata,
            )
    except TimeoutError as error:
        raise RemoteTimeout(
            f"no session could be opened within {limit_s:.3f} s",
            maybe_executed=False,
            hint="raise timeout_ms of this node, or look at what the server is busy with",
        ) from error


async def _begin_here(remote: Remote, context: RunContext, refused: RpeError, stack: AsyncExitStack) -> Talk:
    """Begin a run of the first local pipeline that can, after no pool took the session."""
    from rpe.client.fallback import AllStepsFailed, StepFailure  # only those who fall back need chains

    failures = [StepFailure("pools", refused)]
    for step in remote.locals:
        try:
            stream = await stack.enter_async_context(step.runner.stream(context=context))
            return _LocalTalk(stream, step.spec.name)
        except RpeError as error:
            failures.append(StepFailure(step.spec.name, error))
    raise AllStepsFailed(
        f"none of {len(failures)} steps took the session", steps=failures, attempts=refused.attempts
    )


class _RemoteTalk:
    """A session of a client."""

    def __init__(self, session: StreamSession, remote: Remote) -> None:
        self._session = session
        self._remote = remote

    @property
    def step(self) -> str:
        return self._remote.pool_of(self._session.endpoint).spec.name

    @property
    def endpoint(self) -> str | None:
        return self._session.endpoint

    async def send(self, data: RuntimeData, sequence: int) -> None:
        await self._session.send(data, sequence=sequence, timestamp_ms=_timestamp_ms(data))

    async def receive(self) -> TalkResult | None:
        result = await self._session.receive()
        if result is None:
            return None
        manifest = self._remote.primary.manifest
        return TalkResult(result.sequence, tuple(in_order(result.outputs, manifest)))

    async def finish(self) -> None:
        await self._session.finish()


class _LocalTalk:
    """A run of a pipeline in this process, in the place of a session."""

    endpoint = None

    def __init__(self, stream: PipelineStream, step: str) -> None:
        self._stream = stream
        self.step = step

    async def send(self, data: RuntimeData, sequence: int) -> None:
        await self._stream.send(data)

    async def receive(self) -> TalkResult | None:
        async for output in self._stream:
            return TalkResult(None, (output.data,))
        return None

    async def finish(self) -> None:
        await self._stream.finish()


def _timestamp_ms(data: RuntimeData) -> int:
    """The time that the data carries, in milliseconds; 0 where it carries none."""
    if isinstance(data, Control):
        return data.timestamp_ms
    if isinstance(data, Audio | Image | Video):
        return (data.timestamp_us or 0) // 1000
    return 0
