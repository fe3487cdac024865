"""The subject `rpe`: our own reliable client, reporting all that it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from rpe.chaos.subject import ClientRequest, Subject, SubjectContext, SubjectOperation
from rpe.client import ClientSettings, ReliableClient, StreamSession, connect
from rpe.data import RuntimeData
from rpe.manifest.model import Manifest
from rpe.policy.backoff import BackoffSettings
from rpe.telemetry.record import AttemptRecord, AttemptStart, BreakerRecord, HealthRecord, Observer

__all__ = ["ReliableSubject", "client_settings", "create"]


async def create(context: SubjectContext) -> Subject:
    """Make the subject; its health checks run from now on."""
    names = {address: name for name, address in context.endpoints.items()}
    reporter = _Reporter(context.report, names)
    if context.pipeline:
        from rpe.subjects.pipeline import PipelineSubject

        return await PipelineSubject(context, context.manifest, reporter).open()
    config: dict[str, Any] = {} if context.request.token is None else {"token": context.request.token}
    client = connect(
        list(context.endpoints.values()),
        transport=context.transport,
        settings=client_settings(context.request),
        observers=[reporter],
        seed=context.seed,
        **config,
    )
    return ReliableSubject(await client.__aenter__(), context.manifest, context.request.move_sessions)


def client_settings(request: ClientRequest) -> ClientSettings:
    """Translate what a scenario asks for; what it leaves out keeps the client's own default."""
    settings = ClientSettings(
        timeout_s=request.timeout_s,
        attempt_timeout_s=request.attempt_timeout_s,
        load_balance=request.load_balance,
    )
    if (retry := request.retry) is not None:
        backoff = BackoffSettings(
            initial_s=retry.initial_backoff_s, max_s=retry.max_backoff_s, multiplier=retry.multiplier
        )
        settings = replace(
            settings, retry=replace(settings.retry, max_retries=retry.max_retries, backoff=backoff)
        )
    for name in ("breaker", "health", "budget"):
        asked = getattr(request, name)
        if asked is not None:
            wanted = asked.model_dump()
            settings = replace(settings, **{name: replace(getattr(settings, name), **wanted)})
    return settings


class ReliableSubject:
    """Fills `rpe.chaos.subject.Subject` with a `ReliableClient`."""

    def __init__(self, client: ReliableClient, manifest: Manifest, move_sessions: bool = False) -> None:
        self._client = client
        self._manifest = manifest
        self._move_sessions = move_sessions

    async def execute(self, operation: SubjectOperation) -> Mapping[str, RuntimeData]:
        """Execute once through the reliable client."""
        result = await self._client.execute(
            self._manifest,
            operation.inputs,
            timeout_s=operation.timeout_s,
            repeatable=operation.repeatable,
            operation_id=operation.op,
        )
        return result.outputs

    async def open_stream(self, operation: SubjectOperation) -> _Stream:
        """Open a session through the reliable client."""
        session = await self._client.open_stream(
            self._manifest,
            timeout_s=operation.timeout_s,
            repeatable=self._move_sessions and operation.repeatable,
            operation_id=operation.op,
        )
        return _Stream(session)

    def in_flight(self) -> int:
        """Return the attempts under way, as the pool counts them."""
        return self._client.statistics().in_flight

    async def close(self) -> None:
        """Close the client."""
        await self._client.close()


class _Stream:
    def __init__(self, session: StreamSession) -> None:
        self._session = session

    async def send(self, sequence: int, data: RuntimeData) -> None:
        await self._session.send(data, sequence=sequence)

    async def receive(self) -> tuple[int, Mapping[str, RuntimeData]] | None:
        result = await self._session.receive()
        return None if result is None else (result.sequence, result.outputs)

    async def finish(self) -> None:
        await self._session.finish()

    def cancel(self) -> None:
        self._session.cancel()


class _Reporter(Observer):
    """Puts the client's own records into the history, with endpoints by their names."""

    def __init__(self, report: Callable[[str, Mapping[str, Any]], None], names: Mapping[str, str]) -> None:
        self._report = report
        self._names = names

    def on_attempt_start(self, start: AttemptStart) -> None:
        self._report(
            "attempt.start",
            {
                "op": start.operation_id,
                "attempt": start.number,
                "endpoint": self._names[start.endpoint],
                "probe": start.probe,
                "timeout_s": start.timeout_s,
            },
        )

    def on_attempt(self, record: AttemptRecord) -> None:
        self._report(
            "attempt.end",
            {
                "op": record.operation_id,
                "attempt": record.number,
                "endpoint": self._names[record.endpoint],
                "outcome": str(record.outcome),
                "code": record.code,
                "duration_s": record.ended_s - record.started_s,
                "probe": record.probe,
            },
        )

    def on_breaker(self, record: BreakerRecord) -> None:
        self._report(
            "breaker",
            {
                "endpoint": self._names[record.endpoint],
                "before": record.before,
                "after": record.after,
                "cause": record.cause,
            },
        )

    def on_health(self, record: HealthRecord) -> None:
        self._report("health", {"endpoint": self._names[record.endpoint], "healthy": record.healthy})
