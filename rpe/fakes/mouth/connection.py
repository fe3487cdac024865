"""One HTTP/2 connection of the raw server: frames in and out (RFC 9113), and the calls on it."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NoReturn, Protocol

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    PingAckReceived,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hyperframe.frame import GoAwayFrame

from rpe.clock import Clock
from rpe.fakes.journal import Kind
from rpe.fakes.mouth.call import Answer, RawCall
from rpe.fakes.mouth.encoding import Headers
from rpe.fakes.mouth.holding import Holding
from rpe.fakes.mouth.script import ConnectionFault, MaxStreams, NoSettings, NoSettingsAck, ShutWindow

__all__ = ["Connection", "Note"]

_READ_BYTES = 64 * 1024
_SETTINGS_ACK = bytes([0, 0, 0, 4, 1, 0, 0, 0, 0])
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_MANY_STREAMS = 1000
_WINDOW_BYTES = 65_535
"""What each side may send on a stream, unless other settings are agreed on (RFC 9113, 6.9.2)."""


class Note(Protocol):
    """Writes an entry of the journal, for a call or for a connection."""

    def __call__(
        self,
        kind: Kind,
        call: RawCall | None,
        *,
        sequence: int | None = None,
        content: Mapping[str, str] | None = None,
        fault: str = "",
        detail: str = "",
    ) -> None:
        """Write it, at the time of now."""
        ...


class Connection:
    """A connection from its first byte to its last. `run` owns all that happens on it."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        faults: Sequence[ConnectionFault],
        answer: Answer,
        make_call: Callable[[Connection, int, Mapping[str, str]], RawCall],
        note: Note,
        clock: Clock,
        first_window_bytes: int | None,
    ) -> None:
        self.note = note
        self.clock = clock
        self._group: asyncio.TaskGroup | None = None
        self._reader = reader
        self._writer = writer
        self._faults = faults
        self._answer = answer
        self._make_call = make_call
        self._calls: dict[int, RawCall] = {}
        self._moved = asyncio.Event()
        self._pings_out = 0
        self._mute = False
        self._acks_settings = True
        self._credits = True
        self._first_window_bytes = _WINDOW_BYTES if first_window_bytes is None else first_window_bytes
        self._h2 = H2Connection(
            H2Configuration(client_side=False, header_encoding="utf-8", validate_outbound_headers=False)
        )

    async def run(self) -> None:
        """Serve until the other side has gone or this is cancelled; no call is left running."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._greet()
                with suppress(OSError):
                    await self._read(group)
                for call in self._calls.values():
                    call.cancel("the caller has closed the connection")
        finally:
            self._writer.transport.abort()

    # --- what calls and faults use ---------------------------------------------------------------------

    def send_headers(self, stream_id: int, headers: Headers, *, end: bool) -> None:
        """Send headers or trailers; nothing where the stream is over already."""
        with suppress(ProtocolError):
            self._h2.send_headers(stream_id, headers, end_stream=end)
        self._flush()

    async def send_data(self, stream_id: int, data: bytes, *, end: bool) -> None:
        """Send bytes in as many DATA frames as they need, waiting for the windows of the other side.

        Raises ConnectionError where the connection is gone.
        """
        view = memoryview(data)
        try:
            while view:
                size = min(self._h2.local_flow_control_window(stream_id), self._h2.max_outbound_frame_size)
                if size <= 0:
                    await self._move()
                    continue
                self._h2.send_data(stream_id, bytes(view[:size]), end_stream=end and size >= len(view))
                view = view[size:]
                self._flush()
                await self._writer.drain()
            if end and not data:
                self._h2.send_data(stream_id, b"", end_stream=True)
        except ProtocolError as error:
            raise ConnectionAbortedError("the stream is over") from error
        self._flush()
        await self._writer.drain()

    def reset(self, stream_id: int, code: int) -> None:
        """Send RST_STREAM."""
        with suppress(ProtocolError):
            self._h2.reset_stream(stream_id, code)
        self._flush()

    def go_away(self, code: int, last_stream: int, debug: bytes) -> None:
        """Send GOAWAY, and go on as if it had not been sent."""
        frame = GoAwayFrame(last_stream_id=last_stream, error_code=code, additional_data=debug)
        self._write(frame.serialize())

    async def ping(self, count: int) -> None:
        """Send so many PING frames at once, and wait until each was acknowledged."""
        for number in range(count):
            self._h2.ping(number.to_bytes(8))
        self._pings_out += count
        self._flush()
        while self._pings_out > 0:
            await self._move()

    def cut_inside_frame(self, stream_id: int, payload: bytes, *, reset: bool) -> None:
        """Send half of a DATA frame, then close the connection, or reset it."""
        payload = payload[: self._h2.max_outbound_frame_size]
        head = len(payload).to_bytes(3) + bytes([0, 0]) + stream_id.to_bytes(4)
        self._write(head + payload[: len(payload) // 2])
        if reset:
            sock: socket.socket = self._writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self._mute = True
            self._writer.transport.abort()
        else:
            self.end_writing()

    def end_writing(self) -> None:
        """Close this side: the other one reads to the end of what was sent, and then closes too."""
        self._mute = True
        with suppress(OSError):
            self._writer.write_eof()

    def window_of(self, wanted_bytes: int | None) -> int:
        """Return what a caller may send in a new call: as much as is wanted, or at least as was agreed on."""
        wanted_bytes = _WINDOW_BYTES if wanted_bytes is None else wanted_bytes
        return max(wanted_bytes, self._first_window_bytes) if self._credits else self._first_window_bytes

    def open_window(self, stream_id: int, size: int) -> None:
        """Let a caller send so many bytes more in its call; nothing where that is over."""
        if self._credits and size > 0:
            with suppress(ProtocolError, KeyError):
                self._h2.increment_flow_control_window(size, stream_id)
            self._flush()

    def begin(self, holding: Holding) -> asyncio.Task[None]:
        """Let a holding run its time, in a task that ends with the connection."""
        assert self._group is not None
        return self._group.create_task(holding.run())

    async def for_ever(self) -> NoReturn:
        """Wait until cancelled."""
        while True:
            await asyncio.get_running_loop().create_future()

    # --- frames ------------------------------------------------------------------------------------------

    def _greet(self) -> None:
        initial = {SettingCodes.MAX_CONCURRENT_STREAMS: _MANY_STREAMS}
        for fault in self._faults:
            self.note(Kind.FAULT, None, fault=fault.kind)
            match fault:
                case NoSettings():
                    self._mute = True
                case NoSettingsAck():
                    self._acks_settings = False
                case ShutWindow():
                    self._credits = False
                    self._first_window_bytes = fault.window_bytes
                case MaxStreams():
                    initial[SettingCodes.MAX_CONCURRENT_STREAMS] = fault.streams
        if self._first_window_bytes != _WINDOW_BYTES:
            initial[SettingCodes.INITIAL_WINDOW_SIZE] = self._first_window_bytes
        self._h2.local_settings = Settings(client=False, initial_values=initial)
        self._h2.initiate_connection()
        self._flush()

    async def _read(self, group: asyncio.TaskGroup) -> None:
        while data := await self._reader.read(_READ_BYTES):
            if self._mute:
                continue  # taken, so that closing does not become a reset
            try:
                events = self._h2.receive_data(data)
            except ProtocolError:
                self._flush()
                self.end_writing()
                continue
            for event in events:
                self._take(event, group)
            self._flush()

    def _take(self, event: Event, group: asyncio.TaskGroup) -> None:
        match event:
            case RequestReceived():
                headers = {str(key): str(value) for key, value in event.headers or ()}
                call = self._make_call(self, event.stream_id, headers)
                self._calls[event.stream_id] = call
                self.open_window(event.stream_id, call.first_window_bytes - self._first_window_bytes)
                call.begin()
                group.create_task(self._serve(call))
            case DataReceived():
                self._take_data(event)
            case StreamEnded():
                if event.stream_id in self._calls:
                    self._calls[event.stream_id].feed_end()
            case StreamReset():
                if (gone := self._calls.get(event.stream_id or 0)) is not None:
                    gone.cancel(f"RST_STREAM {_code(event.error_code)}")
            case PingAckReceived():
                self._pings_out -= 1
                self._wake()
            case WindowUpdated() | RemoteSettingsChanged():
                self._wake()
            case ConnectionTerminated():
                pass  # the caller lets its calls end, and closes then
            case _:
                pass

    def _take_data(self, event: DataReceived) -> None:
        size = event.flow_controlled_length or 0
        call = self._calls.get(event.stream_id)
        if call is None or not call.holds:
            if call is not None:
                call.feed(event.data or b"", size)
            if self._credits:
                with suppress(ProtocolError):
                    self._h2.acknowledge_received_data(size, event.stream_id)
            return
        if self._credits and size:
            self._h2.increment_flow_control_window(size)  # of the connection: other calls go on
        call.feed(event.data or b"", size)

    async def _serve(self, call: RawCall) -> None:
        try:
            await call.serve(self._answer)
        finally:
            self._calls.pop(call.stream_id, None)

    def _wake(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def _move(self) -> None:
        """Wait until something came that may let a waiting sender go on."""
        await self._moved.wait()

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if not self._acks_settings:
            data = data.replace(_SETTINGS_ACK, b"")
        self._write(data)

    def _write(self, data: bytes) -> None:
        if data and not self._mute and not self._writer.is_closing():
            self._writer.write(data)


def _code(code: object) -> str:
    """Return an error code of HTTP/2 with its name, where it has one."""
    number = int(code) if isinstance(code, int) else -1
    try:
        return f"{number} {ErrorCodes(number).name}"
    except ValueError:
        return str(number)
