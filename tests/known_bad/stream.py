"""A session of the hand-written client."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import grpc

from rpe.chaos.subject import SubjectOperation
from rpe.data import RuntimeData
from rpe.errors import ProtocolViolation, RemoteExecutionFailed, RpeError, SessionClosed, StreamBroken
from tests.known_bad.wire import CLOSE, chunk_request, failure, init_request

if TYPE_CHECKING:
    from tests.known_bad.base import BaseClient
    from tests.known_bad.pool import Endpoint

__all__ = ["Given", "Stream"]

GRPC_ERRORS = (grpc.aio.AioRpcError, grpc.aio.UsageError, asyncio.InvalidStateError)

Given = tuple[int, Mapping[str, RuntimeData]]
"""An answer: the number of its chunk, and its outputs by name."""


class Stream:
    """Fills `rpe.chaos.subject.SubjectStream`; bound to its endpoint, and never replayed."""

    def __init__(
        self, client: BaseClient, endpoint: Endpoint, operation: SubjectOperation, number: int
    ) -> None:
        self.client = client
        self.endpoint = endpoint
        self.operation = operation
        self.number = number
        self.started_s = client.now_s()
        self._call: Any = None
        self._probe = False
        self._settled = True

    async def open(self) -> None:
        """Send `init` and wait for `ready`. Raises RpeError, and has then ended."""
        operation = self.operation
        manifest = self.client.context.manifest
        left_s = self.client.left_s(operation, self.started_s)
        self._probe = self.client.begin(self.endpoint, operation.op, self.number, left_s)
        self._settled = False
        metadata = self.client.metadata(operation.op, self.number)
        self._call = self.endpoint.wire.stream(timeout=left_s, metadata=metadata)
        self._input = manifest.input_nodes[0].id
        try:
            await self.write(init_request(manifest))
            answer = await self.read()
            if answer is None or answer.WhichOneof("response") != "ready":
                raise StreamBroken("the session did not become ready")
        except BaseException as error:
            self.end(error)
            raise

    async def send(self, sequence: int, data: RuntimeData) -> None:
        """Send one chunk."""
        await self.write(chunk_request(self._input, sequence, data))

    async def receive(self) -> Given | None:
        """Return the next answer, or None once the server has closed the session."""
        try:
            while True:
                answer = await self.read()
                if answer is None:
                    raise StreamBroken("the stream ended without being closed")
                kind = answer.WhichOneof("response")
                if kind == "result":
                    return answer.result.sequence, self.client.outputs(answer.result.data_outputs)
                if kind == "error":
                    raise RemoteExecutionFailed(answer.error.message)
                if kind == "closed":
                    self.end(None)
                    return None
                if kind not in ("metrics", "ready"):
                    raise ProtocolViolation("an empty message in a session")
        except BaseException as error:
            self.end(error)
            raise

    async def finish(self) -> None:
        """Say that no more chunks follow."""
        await self.write(CLOSE)
        try:
            await self._call.done_writing()
        except GRPC_ERRORS as error:
            raise self._broken(error) from None

    def cancel(self) -> None:
        """Give the session up."""
        self.end(SessionClosed("the session was given up"))

    def end(self, error: BaseException | None) -> None:
        """The session has ended: account for it, once, and let go of the call."""
        if self._settled:
            return
        self._settled = True
        self.client.settle(self.endpoint, self.operation.op, self.number, self._probe, error)
        if self._call is not None:
            self._call.cancel()

    async def write(self, request: Any) -> None:
        """Send one message."""
        try:
            await self._call.write(request)
        except GRPC_ERRORS as error:
            raise self._broken(error) from None

    async def read(self) -> Any:
        """Return the next message, or None where the call ended in good order."""
        try:
            message = await self._call.read()
            if message is not grpc.aio.EOF:
                return message
            if await self._call.code() is grpc.StatusCode.OK:
                return None
            raise StreamBroken(await self._call.details() or "the stream broke")
        except GRPC_ERRORS as error:
            raise self._broken(error) from None

    def _broken(self, error: Exception) -> RpeError:
        meaning = failure(error) if isinstance(error, grpc.aio.AioRpcError) else None
        return StreamBroken(str(error) if meaning is None else meaning.message)
