"""Plain gRPC callers of any method, with bytes in and out."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import grpc

__all__ = ["Heard", "ask", "channel_to", "name"]


def name(text: str) -> bytes:
    """A `Name`, as bytes."""
    return b"\x0a" + bytes([len(text)]) + text.encode()


class Heard(NamedTuple):
    """What a caller got of a call."""

    messages: list[bytes]
    code: str
    details: str
    trailing: tuple[tuple[str, Any], ...]

    @property
    def hash(self) -> str:
        return hashlib.sha256(b"\0".join(self.messages)).hexdigest()


@asynccontextmanager
async def channel_to(endpoint: str) -> AsyncIterator[grpc.aio.Channel]:
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(endpoint, options=options) as channel:
        yield channel


async def ask(
    channel: grpc.aio.Channel,
    method: str,
    requests: Sequence[bytes],
    *,
    kind: str = "stream_stream",
    lockstep: int = 0,
    **options: Any,
) -> Heard:
    """Make a call of a kind, as a generated stub would, with bytes in and out.

    With `lockstep`, so many answers are read behind each request, before the next one is sent.
    """
    options.setdefault("timeout", 5)
    make: Any = getattr(channel, kind)(method)
    messages: list[bytes] = []
    if kind.startswith("unary"):
        call = make(requests[0], **options)
    elif kind == "stream_unary":
        call = make(iter(requests), **options)
    else:
        call = make(**options)
    try:
        if kind.endswith("unary"):
            messages.append(await call)
        else:
            if kind == "stream_stream":
                for request in requests:
                    await call.write(request)
                    messages += [await call.read() for _ in range(lockstep)]
                await call.done_writing()
            while (message := await call.read()) is not grpc.aio.EOF:
                messages.append(message)
    except grpc.aio.AioRpcError:
        pass
    code, details = await call.code(), await call.details()
    return Heard(messages, code.name, details or "", tuple(await call.trailing_metadata() or ()))
