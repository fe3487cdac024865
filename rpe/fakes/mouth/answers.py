"""What a brain says, in the raw server's terms: the same services as the gRPC server has."""

from __future__ import annotations

from typing import Any, NoReturn, cast

import grpc

from rpe.fakes.brain import Brain
from rpe.fakes.mouth.call import Answer, RawCall
from rpe.transport.grpc.health import health_handler
from rpe.transport.grpc.running import RunningCalls
from rpe.transport.grpc.serving_calls import SERVICES, pipeline_handlers
from rpe.transport.serving import Refusal, StatusCode

__all__ = ["brain_answer"]


class _Context:
    """The part of gRPC's context of a call that the services use."""

    def __init__(self, call: RawCall) -> None:
        self._call = call

    async def read(self) -> Any:
        message = await self._call.read()
        return grpc.aio.EOF if message is None else message

    async def write(self, message: bytes) -> None:
        await self._call.send(message)

    def peer(self) -> str:
        return ""

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return tuple(self._call.metadata.items())

    def time_remaining(self) -> float | None:
        return self._call.remaining_s

    async def abort(self, code: grpc.StatusCode, details: str, trailers: Any = ()) -> NoReturn:
        raise Refusal(StatusCode[code.name], details, metadata=dict(trailers))


class _Details:
    """What gRPC's handlers look a method up by."""

    def __init__(self, path: str) -> None:
        self.method = path
        self.invocation_metadata = ()


def brain_answer(brain: Brain) -> Answer:
    """Return an answer to calls by which a brain serves pipelines, sessions, its version and its health."""
    calls = RunningCalls()
    services = [*pipeline_handlers(brain, calls), health_handler(brain, calls, SERVICES)]

    async def answer(call: RawCall) -> bytes | None:
        details = cast(Any, _Details(call.path))
        found = (service.service(details) for service in services)
        method = cast(Any, next((method for method in found if method is not None), None))
        if method is None:
            raise Refusal(StatusCode.UNIMPLEMENTED, f"there is no method {call.path}")
        context = _Context(call)
        if method.request_streaming:
            await method.stream_stream(None, context)
            return None
        request = await call.read()
        if request is None:
            raise Refusal(StatusCode.INTERNAL, "the request has no message")
        if method.request_deserializer is not None:
            request = method.request_deserializer(request)
        if method.response_streaming:
            await method.unary_stream(request, context)
            return None
        reply: bytes | None = await method.unary_unary(request, context)
        return reply

    return answer
