"""Calls of gRPC on the frames of HTTP/2: requests out, and answers held to the protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from rpe.testing.fidelity.grpc.http2 import DATA, HEADERS, Headers, Http2, Stream
from rpe.testing.fidelity.model import Violation

__all__ = [
    "INVALID_ARGUMENT",
    "OK",
    "STATUS_NAMES",
    "UNAUTHENTICATED",
    "UNIMPLEMENTED",
    "GrpcAnswer",
    "GrpcCall",
    "call",
    "header",
    "parse",
    "prefixed",
]

OK = 0
INVALID_ARGUMENT, UNIMPLEMENTED, UNAUTHENTICATED = 3, 12, 16

STATUS_NAMES = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
    "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip
"""The statuses of gRPC, in the order of their numbers."""

_PREFIX_BYTES = 5

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class GrpcAnswer:
    """All that came of a call: its messages, and the status that it ended with."""

    messages: list[bytes]
    status: int
    message: str

    @property
    def name(self) -> str:
        """The status as people call it."""
        known = 0 <= self.status < len(STATUS_NAMES)
        return STATUS_NAMES[self.status] if known else f"the unknown status {self.status}"

    @property
    def told(self) -> str:
        """The status and its message, for what was seen."""
        return f"{self.name} ({self.message!r})" if self.message else self.name

    def only_message(self) -> bytes:
        """Return the one message of a good unary answer. Raises Violation for anything else."""
        if self.status != OK:
            raise Violation(f"the call ended with {self.told}")
        if len(self.messages) != 1:
            raise Violation(f"the status is OK, and {len(self.messages)} messages came with it")
        return self.messages[0]


class GrpcCall:
    """A call under way."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    @classmethod
    async def start(
        cls,
        connection: Http2,
        path: str,
        *,
        timeout: str = "",
        token: str | None = None,
    ) -> GrpcCall:
        """Send the headers of a call; `timeout` is a `grpc-timeout`, `token` another bearer token."""
        target = connection.target
        token = target.token if token is None else token
        headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", f"{target.address.host}:{target.address.port}"),
            ("te", "trailers"),
        ]
        headers += [("grpc-timeout", timeout)] if timeout else []
        headers += [("content-type", "application/grpc"), ("user-agent", "grpc-python-rpe-fidelity")]
        headers += [("authorization", f"Bearer {token}")] if token else []
        return cls(await connection.request(headers))

    async def send(self, message: Message | bytes, *, end: bool = False) -> None:
        """Send one message."""
        await self.stream.send(prefixed(message), end=end)

    async def read(self) -> bytes | None:
        """Return the next message, None behind the last one. Raises Violation for one that is cut."""
        stream = self.stream
        await stream.wait(lambda: stream.headers is not None, "the headers of an answer")
        if stream.headers is not None:
            self.check_headers()
        await stream.wait(self._has_message, "a message")
        if self._has_message():
            end = _PREFIX_BYTES + self._length()
            message = bytes(stream.body[_PREFIX_BYTES:end])
            del stream.body[:end]
            return message
        if stream.reset is not None:
            raise Violation(f"RST_STREAM with code {stream.reset} came")
        if len(stream.body) >= _PREFIX_BYTES:
            there = len(stream.body) - _PREFIX_BYTES
            raise Violation(f"a message announces {self._length()} bytes, and the stream ends after {there}")
        if stream.body:
            raise Violation(f"the stream ends with {len(stream.body)} bytes that are no message")
        return None

    async def finish(self) -> GrpcAnswer:
        """Read to the end, and return all that came. Raises Violation where it breaks the protocol."""
        messages = []
        while (message := await self.read()) is not None:
            messages.append(message)
        self.check_headers()
        status, text = self.status()
        return GrpcAnswer(messages, status, text)

    def check_headers(self) -> None:
        """Raises Violation where the headers of the answer are not those of gRPC."""
        headers = self.stream.headers
        if headers is None:
            raise Violation("the stream ended without headers")
        if (status := header(headers, ":status")) != "200":
            raise Violation(f"the answer has :status {status}")

    def status(self) -> tuple[int, str]:
        """Return the status of a stream that has ended, and its message."""
        stream = self.stream
        trailers = stream.trailers
        if trailers is None:
            # Trailers-Only: nothing but the headers came, and they end the stream.
            kinds = [frame.kind for frame in stream.frames]
            trailers = stream.headers if kinds.count(HEADERS) == 1 and DATA not in kinds else None
        if trailers is None:
            raise Violation("the stream ended without trailers: END_STREAM came on a DATA frame")
        told = [value for name, value in trailers if name == "grpc-status"]
        if len(told) != 1 or not (told[0].isascii() and told[0].isdecimal()):
            raise Violation(f"the trailers have grpc-status {', '.join(told) or 'nowhere'}")
        return int(told[0]), header(trailers, "grpc-message") or ""

    def _has_message(self) -> bool:
        body = self.stream.body
        if body and body[0]:
            flag = "is marked as compressed" if body[0] == 1 else f"has the flag {body[0]}"
            raise Violation(f"a message {flag}, and the caller did not offer an encoding")
        return len(body) >= _PREFIX_BYTES and len(body) >= _PREFIX_BYTES + self._length()

    def _length(self) -> int:
        return int.from_bytes(self.stream.body[1:_PREFIX_BYTES])


async def call(
    connection: Http2, path: str, request: Message | bytes, *, token: str | None = None
) -> GrpcAnswer:
    """Make a unary call, and return all that came of it."""
    made = await GrpcCall.start(connection, path, token=token)
    await made.send(request, end=True)
    return await made.finish()


def prefixed(message: Message | bytes) -> bytes:
    """Return a message behind its prefix: a flag and a length of four bytes."""
    payload = message if isinstance(message, bytes) else message.SerializeToString()
    return b"\0" + len(payload).to_bytes(4) + payload


def header(headers: Sequence[tuple[str, str]] | Headers, name: str) -> str | None:
    """Return the value of a header, None where it is not there."""
    return next((value for key, value in headers if key == name), None)


def parse(kind: type[M], payload: bytes) -> M:
    """Read a message. Raises Violation where it is none of that kind."""
    try:
        return kind.FromString(payload)
    except DecodeError as error:
        raise Violation(f"a message is no {kind.DESCRIPTOR.name}: {payload[:40].hex()}...") from error
