"""gRPC's mouth of a method: requests and answers of the four kinds of call, and how a call ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc

from rpe.fakes.definition.ending import CallEnded, Metadata, Outgoing, Send, Take

if TYPE_CHECKING:
    from rpe.fakes.definition.answering import MethodServer

__all__ = ["grpc_handler"]

Context = grpc.aio.ServicerContext[Any, Any]
_TURNS = 4
"""Turns of the loop that a cancel is waited for once a stream of requests has ended."""

_CODES = {code.name: code for code in grpc.StatusCode}


def grpc_handler(method: MethodServer) -> grpc.RpcMethodHandler[Any, Any]:
    """Return the handler that gRPC serves a method with."""
    mouth = _Mouth(method)
    served: dict[str, tuple[Any, Any]] = {
        "unary": (grpc.unary_unary_rpc_method_handler, mouth.unary_unary),
        "server streaming": (grpc.unary_stream_rpc_method_handler, mouth.unary_stream),
        "client streaming": (grpc.stream_unary_rpc_method_handler, mouth.stream_unary),
        "bidirectional streaming": (grpc.stream_stream_rpc_method_handler, mouth.stream_stream),
    }
    make, behaviour = served[method.plan.kind]
    # Requests come as bytes: one that cannot be parsed is a call of which the journal tells, too.
    made: grpc.RpcMethodHandler[Any, Any] = make(behaviour, response_serializer=_serialized)
    return made


class _Mouth:
    """The behaviours that gRPC calls for one method."""

    def __init__(self, method: MethodServer) -> None:
        self._method = method

    async def unary_unary(self, request: bytes, context: Context) -> Outgoing:
        return await self._one_answer(_once(request), context)

    async def stream_unary(self, requests: object, context: Context) -> Outgoing:
        return await self._one_answer(self._reading(context), context)

    async def unary_stream(self, request: bytes, context: Context) -> None:
        await self._serve(_once(request), context, context.write)

    async def stream_stream(self, requests: object, context: Context) -> None:
        await self._serve(self._reading(context), context, context.write)

    async def _one_answer(self, take: Take, context: Context) -> Outgoing:
        answers: list[Outgoing] = []

        async def keep(message: Outgoing) -> None:
            answers.append(message)

        await self._serve(take, context, keep)
        return answers[0]

    async def _serve(self, take: Take, context: Context, send: Send) -> None:
        metadata: Any = context.invocation_metadata() or ()
        try:
            trailing = await self._method.serve(metadata, take, send, context.send_initial_metadata)
        except CallEnded as ended:
            await context.abort(_CODES[ended.code], ended.text, _trailing(ended))
        else:
            if trailing:
                context.set_trailing_metadata(trailing)

    def _reading(self, context: Context) -> Take:
        """Read by the context: an iterator that is left early is complained about when it is deleted."""

        async def take() -> bytes | None:
            request: Any = await context.read()
            if request is not grpc.aio.EOF:
                taken: bytes = request
                return taken
            # To gRPC, a caller that gives up has ended its stream, too; the cancel comes after that,
            # most often within a turn or two of the loop. Such a call should not look as if it ended well.
            for _ in range(_TURNS):
                await self._method.clock.sleep(0)
            return None

        return take


def _trailing(ended: CallEnded) -> Metadata:
    if not ended.parts:
        return ended.metadata
    return (*ended.metadata, ("grpc-status-details-bin", ended.details or b""))


def _once(request: bytes) -> Take:
    waiting = [request]

    async def take() -> bytes | None:
        return waiting.pop() if waiting else None

    return take


def _serialized(message: Outgoing) -> bytes:
    return message if isinstance(message, bytes) else message.SerializeToString()
