"""A client of HTTP/2 for checks: it keeps what came frame by frame, and forgives nothing.

`h2` decodes headers and keeps the windows; what the frames were is read beside it, since a
check wants to know what a server did, and not what a library made of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    InformationalResponseReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import ProtocolError

from rpe.testing.fidelity.model import Violation
from rpe.testing.fidelity.target import Target

__all__ = ["DATA", "END_STREAM", "HEADERS", "PING", "SETTINGS", "Frame", "Headers", "Http2", "Stream"]

Headers = list[tuple[str, str]]

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0x0, 0x1, 0x3, 0x4, 0x6, 0x7
ACK = END_STREAM = 0x1

_HEAD_BYTES = 9
_READ_BYTES = 64 * 1024


class Frame(NamedTuple):
    """The head of one frame that came (RFC 9113, 4.1); PING has its payload too."""

    kind: int
    flags: int
    stream_id: int
    payload: bytes


class Stream:
    """One stream: what came on it so far.

    `headers` and `trailers` are None until they came; `body` is what DATA frames carried and
    nobody has taken; `reset` is the code of a RST_STREAM that came before the end.
    """

    def __init__(self, connection: Http2, stream_id: int) -> None:
        self.stream_id = stream_id
        self.headers: Headers | None = None
        self.trailers: Headers | None = None
        self.body = bytearray()
        self.ended = False
        self.reset: int | None = None
        self._connection = connection

    @property
    def over(self) -> bool:
        """Whether nothing more may come."""
        return self.ended or self.reset is not None

    @property
    def frames(self) -> list[Frame]:
        """The frames of the stream that came so far."""
        return [frame for frame in self._connection.frames if frame.stream_id == self.stream_id]

    async def send(self, data: bytes, *, end: bool = False, piece_bytes: int | None = None) -> None:
        """Send bytes in DATA frames as the windows allow, each of `piece_bytes` at most."""
        await self._connection.send(self.stream_id, data, end=end, piece_bytes=piece_bytes)

    async def end(self) -> None:
        """Say that nothing follows."""
        await self.send(b"", end=True)

    def cancel(self) -> None:
        """Send RST_STREAM with CANCEL."""
        self._connection.cancel(self.stream_id)

    async def wait(self, until: Callable[[], bool], what: str) -> None:
        """Wait until something holds, or the stream is over."""
        await self._connection.wait(lambda: until() or self.over, f"{what} on stream {self.stream_id}")


class Http2:
    """One connection. `frames` are all that came, in order; `gone_away` is the code of a GOAWAY."""

    def __init__(self, target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.target = target
        self.frames: list[Frame] = []
        self.gone_away: int | None = None
        self._reader = reader
        self._writer = writer
        self._streams: dict[int, Stream] = {}
        self._raw = bytearray()
        self._broken = ""
        self._moved = asyncio.Event()
        self._h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))

    @classmethod
    @asynccontextmanager
    async def open(cls, target: Target) -> AsyncIterator[Http2]:
        """Connect, and send the preface, for the time inside. Raises Violation without a connection."""
        async with target.connection() as (reader, writer):
            connection = cls(target, reader, writer)
            connection._h2.initiate_connection()
            connection._flush()
            reading = asyncio.create_task(connection._read(), name="frames of a check")
            try:
                yield connection
            finally:
                reading.cancel()
                await asyncio.wait([reading])

    async def request(self, headers: Sequence[tuple[str, str]]) -> Stream:
        """Open a stream with the headers of a request, once the server's SETTINGS came.

        Raises Violation where it takes no more streams.
        """
        await self.wait(lambda: any(frame.kind == SETTINGS for frame in self.frames), "SETTINGS")
        if self.gone_away is not None:
            raise Violation(f"GOAWAY with code {self.gone_away} came, so that no further call can be made")
        try:
            stream_id = self._h2.get_next_available_stream_id()
            self._h2.send_headers(stream_id, headers)
        except ProtocolError as error:
            raise Violation(f"no stream can be opened: {_told(error)}") from error
        self._streams[stream_id] = Stream(self, stream_id)
        self._flush()
        return self._streams[stream_id]

    async def send(self, stream_id: int, data: bytes, *, end: bool, piece_bytes: int | None) -> None:
        """Send bytes on a stream; nothing more of them once the stream is over."""
        stream = self._streams[stream_id]
        view = memoryview(data)
        while view and not stream.over:
            await stream.wait(lambda: self._h2.local_flow_control_window(stream_id) > 0, "WINDOW_UPDATE")
            if stream.over:
                return
            size = min(
                len(view),
                self._h2.local_flow_control_window(stream_id),
                self._h2.max_outbound_frame_size,
                piece_bytes or len(view),
            )
            with suppress(ProtocolError):
                self._h2.send_data(stream_id, bytes(view[:size]), end_stream=end and size == len(view))
            view = view[size:]
            self._flush()
            await self._writer.drain()
        if end and not data and not stream.over:
            with suppress(ProtocolError):
                self._h2.send_data(stream_id, b"", end_stream=True)
            self._flush()

    def cancel(self, stream_id: int) -> None:
        """Send RST_STREAM with CANCEL on a stream."""
        with suppress(ProtocolError):
            self._h2.reset_stream(stream_id, ErrorCodes.CANCEL)
        self._flush()

    async def ping(self, payload: bytes) -> None:
        """Send PING and wait for its acknowledgement: all that the server sent before it has then come."""
        self._h2.ping(payload)
        self._flush()
        await self.wait(
            lambda: any(
                frame.kind == PING and frame.flags & ACK and frame.payload == payload for frame in self.frames
            ),
            "the acknowledgement of a PING",
        )

    def most_streams(self) -> int:
        """Return how many streams the server lets its callers have at once."""
        return self._h2.remote_settings.max_concurrent_streams

    async def wait(self, until: Callable[[], bool], what: str) -> None:
        """Wait until something holds. Raises Violation where the connection breaks before."""
        self.target.waiting_for = what
        while not until():
            if self._broken:
                raise Violation(f"{self._broken} while it waited for {what}")
            self._moved.clear()
            await self._moved.wait()

    async def _read(self) -> None:
        try:
            while data := await self._reader.read(_READ_BYTES):
                self._note_frames(data)
                events = self._h2.receive_data(data)
                for event in events:
                    self._take(event)
                self._flush()
                self._moved.set()
            self._broken = "the server closed the connection"
        except ProtocolError as error:
            self._broken = f"what came breaks HTTP/2: {_told(error)}"
            self._flush()
        except OSError as error:
            self._broken = f"the connection broke ({error.strerror or type(error).__name__})"
        if self.gone_away is not None:
            self._broken = f"GOAWAY with code {self.gone_away} came, then {self._broken}"
        self._moved.set()

    def _note_frames(self, data: bytes) -> None:
        self._raw += data
        while len(self._raw) >= _HEAD_BYTES:
            end = _HEAD_BYTES + int.from_bytes(self._raw[:3])
            if len(self._raw) < end:
                return
            kind, flags = self._raw[3], self._raw[4]
            payload = bytes(self._raw[_HEAD_BYTES:end]) if kind == PING else b""
            stream_id = int.from_bytes(self._raw[5:9]) & 0x7FFF_FFFF
            self.frames.append(Frame(kind, flags, stream_id, payload))
            del self._raw[:end]

    def _take(self, event: Event) -> None:
        stream = self._streams.get(getattr(event, "stream_id", None) or 0)
        match event:
            case ConnectionTerminated():
                self.gone_away = int(event.error_code or 0)
            case _ if stream is None:
                pass
            case InformationalResponseReceived():
                pass
            case ResponseReceived():
                stream.headers = _text(event.headers)
            case TrailersReceived():
                stream.trailers = _text(event.headers)
            case DataReceived():
                stream.body += event.data or b""
                with suppress(ProtocolError):
                    size = event.flow_controlled_length or 0
                    self._h2.acknowledge_received_data(size, stream.stream_id)
            case StreamEnded():
                stream.ended = True
            case StreamReset():
                # A server that has said all it has to say may tell its caller so (RFC 9113, 8.1).
                if not stream.ended:
                    stream.reset = int(event.error_code or 0)
            case _:
                pass

    def _flush(self) -> None:
        if (data := self._h2.data_to_send()) and not self._writer.is_closing():
            self._writer.write(data)


def _text(headers: object) -> Headers:
    assert isinstance(headers, list)
    return [(str(name), str(value)) for name, value in headers]


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
