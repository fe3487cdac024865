"""A subject that is the client of one endpoint and nothing more: no pool, no retry, no breaker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rpe.chaos.subject import SubjectContext, SubjectOperation
from rpe.data import RuntimeData
from rpe.manifest.model import Manifest
from rpe.transport.ports import ATTEMPT_KEY, OPERATION_KEY, ClientStreamSession, PipelineClient
from rpe.transport.registry import get_transport

__all__ = ["SingleSubject"]


class SingleSubject:
    """Fills `rpe.chaos.subject.Subject` with the transport's own client of the first endpoint.

    Works on every registered transport. Each operation is one attempt, and its errors are
    the transport's.
    """

    def __init__(self, context: SubjectContext) -> None:
        config = {} if context.request.token is None else {"token": context.request.token}
        endpoint = next(iter(context.endpoints.values()))
        self._client: PipelineClient = get_transport(context.transport).create_client(endpoint, config)
        self._manifest = context.manifest
        self._running = 0

    async def execute(self, operation: SubjectOperation) -> Mapping[str, RuntimeData]:
        """Execute once."""
        self._running += 1
        try:
            result = await self._client.execute(
                self._manifest,
                operation.inputs,
                timeout_s=operation.timeout_s,
                metadata=_metadata(operation),
            )
        finally:
            self._running -= 1
        return result.outputs

    async def open_stream(self, operation: SubjectOperation) -> _Stream:
        """Open a session, once."""
        session = await self._client.open_stream(
            self._manifest,
            timeout_s=operation.timeout_s,
            open_timeout_s=operation.timeout_s,
            metadata=_metadata(operation),
        )
        return _Stream(session, self._manifest)

    def in_flight(self) -> int:
        """Return how many unary calls wait for their answer."""
        return self._running

    async def close(self) -> None:
        """Close the client; calls that run are cancelled."""
        await self._client.close()


class _Stream:
    def __init__(self, session: ClientStreamSession, manifest: Manifest) -> None:
        self._session = session
        self._node_id = manifest.input_nodes[0].id

    async def send(self, sequence: int, data: RuntimeData) -> None:
        await self._session.send(data, node_id=self._node_id, sequence=sequence)

    async def receive(self) -> tuple[int, Mapping[str, RuntimeData]] | None:
        result = await self._session.receive()
        return None if result is None else (result.sequence, result.outputs)

    async def finish(self) -> None:
        await self._session.finish()

    def cancel(self) -> None:
        self._session.cancel()


def _metadata(operation: SubjectOperation) -> Sequence[tuple[str, str]]:
    return ((OPERATION_KEY, operation.op), (ATTEMPT_KEY, "1"))
