"""Recording gRPC: every method of all four kinds, as bytes, passed on as it comes."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable
from typing import Any

import grpc

from rpe.clock import Clock
from rpe.errors import ConfigurationError
from rpe.fakes.cassette.broken import grpc_broken
from rpe.fakes.cassette.lines import Pair
from rpe.fakes.cassette.scrubbing import Known
from rpe.fakes.cassette.upstream import Upstream
from rpe.fakes.cassette.writing import CallWriter, CassetteWriter
from rpe.transport.grpc_binding import bind, new_server

__all__ = ["GrpcRecording"]

_LARGEST_MESSAGE = 256 * 1024 * 1024
_NOT_PASSED_ON = frozenset({"user-agent", "te", "content-type", "grpc-status", "grpc-message"})
"""What each side of a proxy says for itself."""

_ONE_REQUEST_S = 0.005
"""An end that comes so soon after the only message is that of a unary request."""

_CANCEL_TAKES_S = 0.005
"""gRPC tells of a cancel as an end of the requests first, and of the cancel itself a moment later."""

_AT_DEADLINE_S = 0.02

_OWN_DEADLINE = ("Deadline Exceeded", "Stream removed (Deadline Exceeded)")
"""What gRPC says where it is this side that gave up."""

_Context = Any


class GrpcRecording:
    """A proxy of one gRPC server that writes what passes. `endpoint` is where it listens, once started."""

    def __init__(
        self, upstream: Upstream, writer: CassetteWriter, clock: Clock, *, host: str, port: int
    ) -> None:
        self.endpoint = ""
        self._upstream = upstream
        self._writer = writer
        self._clock = clock
        self._host = host
        self._port = port
        self._server: grpc.aio.Server | None = None
        self._channel: grpc.aio.Channel | None = None
        self._running: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Bind and serve. Raises ConfigurationError where the address cannot be bound."""
        sizes = [
            ("grpc.max_receive_message_length", _LARGEST_MESSAGE),
            ("grpc.max_send_message_length", _LARGEST_MESSAGE),
        ]
        # A connection of this recorder's own, and no retries that the cassette would not show.
        own = [*sizes, ("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
        address = self._upstream.address
        if self._upstream.secure:
            credentials = grpc.ssl_channel_credentials(self._upstream.roots)
            self._channel = grpc.aio.secure_channel(address, credentials, options=own)
        else:
            self._channel = grpc.aio.insecure_channel(address, options=own)
        server = new_server(_LARGEST_MESSAGE)
        server.add_generic_rpc_handlers((_Anything(self._serve),))
        try:
            self.endpoint = bind(server, self._host, self._port, None)
        except ConfigurationError:
            await self._channel.close()
            raise
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """Break off what still runs, and close. Harmless twice."""
        server, self._server = self._server, None
        channel, self._channel = self._channel, None
        if server is not None:
            await server.stop(None)
            for task in self._running:
                task.cancel()
            if self._running:
                await asyncio.wait(list(self._running))
        if channel is not None:
            await channel.close()

    async def _serve(self, method: str, context: _Context) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            await self._pass(method, context)
        finally:
            self._running.discard(task)

    async def _pass(self, method: str, context: _Context) -> None:
        timeout_s = context.time_remaining()
        metadata = context.invocation_metadata() or ()
        pairs = _pairs(metadata, Known())
        writer = self._writer.begin(method, metadata=pairs, timeout_s=timeout_s)
        assert self._channel is not None
        make: Any = self._channel.stream_stream(method)
        call = make(
            timeout=timeout_s,
            metadata=tuple((key, value) for key, value in metadata if key not in _NOT_PASSED_ON),
        )
        requests = asyncio.create_task(self._pass_requests(writer, context, call))
        try:
            await self._pass_answers(writer, context, call)
        except asyncio.CancelledError:
            left_s = context.time_remaining()
            if timeout_s is not None and left_s is not None and left_s < _AT_DEADLINE_S:
                writer.end("deadline", "DEADLINE_EXCEEDED", "Deadline Exceeded")
            else:
                writer.end("cancelled")
            raise
        finally:
            requests.cancel()
            await asyncio.wait([requests])
            call.cancel()

    async def _pass_requests(self, writer: CallWriter, context: _Context, call: Any) -> None:
        count, last_s = 0, self._clock.now()
        try:
            while (message := await context.read()) is not grpc.aio.EOF:
                writer.request(writer.known.mask(message))
                count, last_s = count + 1, self._clock.now()
                if not await _send(call, message):
                    return
            if count != 1 or writer.answered or self._clock.now() - last_s > _ONE_REQUEST_S:
                await self._clock.sleep(_CANCEL_TAKES_S)
            writer.half_close()
            await call.done_writing()
        except (grpc.RpcError, grpc.aio.BaseError, asyncio.InvalidStateError):
            pass  # the call is over: its end comes by the answers

    async def _pass_answers(self, writer: CallWriter, context: _Context, call: Any) -> None:
        try:
            initial = tuple(await call.initial_metadata() or ())
            # A status alone has no headers, and neither has what broke before any came.
            if not call.done() or initial:
                writer.headers(_pairs(initial, writer.known))
                await context.send_initial_metadata(initial)
            while (message := await call.read()) is not grpc.aio.EOF:
                writer.answer(writer.known.mask(message))
                await context.write(message)
        except grpc.aio.AioRpcError:
            pass  # told below, as it is for a call that ends without one
        code: grpc.StatusCode = await call.code()
        details: str = await call.details() or ""
        trailing = tuple(await call.trailing_metadata() or ())
        broken = grpc_broken(details)
        pairs = _pairs(trailing, writer.known)
        if code is grpc.StatusCode.DEADLINE_EXCEEDED and details in _OWN_DEADLINE:
            writer.end("deadline", code.name, "Deadline Exceeded")
        elif broken is not None:
            writer.end(broken.how, code.name, details, pairs, broken.number)
        else:
            writer.end("status", code.name, details, pairs)
        context.set_trailing_metadata(
            tuple((key, value) for key, value in trailing if key not in _NOT_PASSED_ON)
        )
        # A caller sees of a break what gRPC makes of it here: the same code and the same text.
        if code is not grpc.StatusCode.OK:
            await context.abort(code, details, context.trailing_metadata())


async def _send(call: Any, message: bytes) -> bool:
    """Send a message; return False where the call is over.

    A server may end a call before it has taken every message. `call.write` then puts an error of its own
    into the place of the status that the server sent, so this goes around it.
    """
    inner = getattr(call, "_cython_call", None)
    sent = getattr(call, "_metadata_sent", None)
    if inner is None or sent is None:
        await call.write(message)
        return True
    await sent.wait()
    if call.done():
        return False
    try:
        await inner.send_serialized_message(message)
    except grpc.aio.InternalError:
        return False
    return True


class _Anything(grpc.GenericRpcHandler):
    """Serves each method there could be as a stream of bytes both ways; the wire of all kinds is the same."""

    def __init__(self, serve: Any) -> None:
        self._serve = serve

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        """Return the handler of a method."""
        method: Any = details.method

        async def serve(_: object, context: _Context) -> None:
            await self._serve(method, context)

        return grpc.stream_stream_rpc_method_handler(serve)


def _pairs(metadata: Iterable[tuple[str, Any]], known: Known) -> list[Pair]:
    return [
        (key, _unpadded(known.mask(value)) if isinstance(value, bytes) else str(value))
        for key, value in metadata
        if key not in _NOT_PASSED_ON
    ]


def _unpadded(value: bytes) -> str:
    return base64.b64encode(value).decode().rstrip("=")
