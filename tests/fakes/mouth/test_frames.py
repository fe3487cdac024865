"""The frames themselves, seen by a peer that takes whatever comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    PingAckReceived,
    ResponseReceived,
    SettingsAcknowledged,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)

from rpe.fakes.mouth import RawCall, RawGrpcServer
from rpe.fakes.mouth.encoding import prefixed


async def three(call: RawCall) -> bytes | None:
    """Answer by three messages."""
    await call.read()
    for said in (b"one", b"two", b"three"):
        await call.send(said)
    return None


class Peer:
    """An HTTP/2 client that keeps what it got."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.h2 = H2Connection(H2Configuration(header_encoding="utf-8"))
        self.events: list[Event] = []
        self.raw = b""
        self.h2.initiate_connection()
        self.flush()

    def flush(self) -> None:
        self.writer.write(self.h2.data_to_send())

    def request(self, payload: bytes = prefixed(b"x")) -> int:
        stream_id = self.h2.get_next_available_stream_id()
        headers = [(":method", "POST"), (":path", "/a/B"), (":scheme", "http"), (":authority", "x")]
        self.h2.send_headers(stream_id, [*headers, ("content-type", "application/grpc"), ("te", "trailers")])
        self.h2.send_data(stream_id, payload, end_stream=True)
        self.flush()
        return stream_id

    async def until(self, *kinds: type[Event]) -> list[Event]:
        """Read until an event of one of these kinds, or the end; return the events that came."""
        async with asyncio.timeout(5):
            while not any(isinstance(event, kinds) for event in self.events):
                data = await self.reader.read(65536)
                if not data:
                    break
                self.raw += data
                self.events += self.h2.receive_data(data)
                self.flush()
        return self.events

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@asynccontextmanager
async def peer(server: RawGrpcServer) -> AsyncIterator[Peer]:
    host, _, port = server.endpoint.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield Peer(reader, writer)
    finally:
        writer.close()
        await asyncio.wait([asyncio.ensure_future(writer.wait_closed())])


def calls(**fault: Any) -> dict[str, Any]:
    return {"calls": [fault]}


async def test_an_honest_answer_has_headers_messages_and_trailers() -> None:
    async with RawGrpcServer(answer=three) as server, peer(server) as seen:
        seen.request()
        await seen.until(StreamEnded)
        (response,), (trailers,) = seen.of(ResponseReceived), seen.of(TrailersReceived)
        assert dict(response.headers) == {":status": "200", "content-type": "application/grpc"}
        assert [event.data for event in seen.of(DataReceived)] == [
            prefixed(said) for said in (b"one", b"two", b"three")
        ]
        assert dict(trailers.headers)["grpc-status"] == "0"


async def test_a_reset_comes_after_so_many_data_frames() -> None:
    script = calls(kind="reset", code=11, after_messages=2)
    async with RawGrpcServer(script, three) as server, peer(server) as seen:
        seen.request()
        await seen.until(StreamReset)
        assert len(seen.of(DataReceived)) == 2
        assert int(seen.of(StreamReset)[0].error_code) == 11


async def test_a_status_alone_is_headers_that_end_the_stream() -> None:
    async with RawGrpcServer(calls(kind="status"), three) as server, peer(server) as seen:
        seen.request()
        await seen.until(StreamEnded)
        (response,) = seen.of(ResponseReceived)
        assert dict(response.headers)["grpc-status"] == "14"
        assert response.stream_ended is not None and not seen.of(DataReceived)


async def test_no_trailers_is_the_end_on_a_data_frame() -> None:
    async with RawGrpcServer(calls(kind="no_trailers"), three) as server, peer(server) as seen:
        seen.request()
        await seen.until(StreamEnded)
        assert len(seen.of(DataReceived)) == 4 and not seen.of(TrailersReceived)
        assert seen.of(DataReceived)[-1].stream_ended is not None


async def test_goaway_names_its_code_and_the_last_stream() -> None:
    script = calls(kind="goaway", code=2, last="before", debug="bye", after=1)
    async with RawGrpcServer(script, three) as server, peer(server) as seen:
        seen.request()
        await seen.until(StreamEnded)
        seen.request()
        await seen.until(ConnectionTerminated)
        (gone,) = seen.of(ConnectionTerminated)
        assert (int(gone.error_code), gone.last_stream_id, gone.additional_data) == (2, 1, b"bye")
        assert await seen.reader.read() == b""


async def test_a_lying_prefix_is_all_that_is_wrong_with_the_message() -> None:
    for off_by in (5, -2):
        script = calls(kind="length_prefix", off_by=off_by)
        async with RawGrpcServer(script, three) as server, peer(server) as seen:
            seen.request()
            await seen.until(StreamEnded)
            first = seen.of(DataReceived)[0].data
            assert first == bytes([0, 0, 0, 0, 3 + off_by]) + b"one"


async def test_ping_is_answered_while_a_call_hangs() -> None:
    async with RawGrpcServer(calls(kind="hang"), three) as server, peer(server) as seen:
        seen.request()
        await server.journal.wait_for(lambda entry: entry.fault == "hang")
        seen.h2.ping(b"12345678")
        seen.flush()
        await seen.until(PingAckReceived)
        assert seen.of(PingAckReceived)[0].ping_data == b"12345678"
        assert not seen.of(ResponseReceived)


async def test_settings_are_acknowledged_unless_the_script_says_otherwise() -> None:
    for connections, acknowledged in (([], True), ([{"kind": "no_settings_ack"}], False)):
        async with RawGrpcServer({"connections": connections}, three) as server, peer(server) as seen:
            seen.request()
            await seen.until(StreamEnded)
            assert bool(seen.of(SettingsAcknowledged)) is acknowledged


async def test_a_window_that_is_shut_is_shut_from_the_first_byte() -> None:
    script = {"connections": [{"kind": "shut_window", "window_bytes": 9}]}
    async with RawGrpcServer(script, three) as server, peer(server) as seen:
        await seen.until(SettingsAcknowledged)
        seen.request(prefixed(b"1234"))
        await seen.until(StreamEnded)
        assert seen.of(TrailersReceived)
        assert seen.h2.outbound_flow_control_window == 65_535 - 9
        assert seen.h2.remote_settings.initial_window_size == 9


async def test_a_frame_is_cut_in_its_middle() -> None:
    async with RawGrpcServer(calls(kind="cut_frame"), three) as server, peer(server) as seen:
        seen.request()
        await seen.until()
        assert seen.raw.endswith(bytes([0, 0, 8, 0, 0, 0, 0, 0, 1]) + prefixed(b"one")[:4])


async def test_a_receiver_that_takes_its_time_is_waited_for() -> None:
    """What is sent stays within the window of the caller, however large the message is."""
    script = calls(kind="oversized", size_bytes=300_000)
    async with RawGrpcServer(script, three) as server, peer(server) as seen:
        seen.request()
        got = 0
        while got < 65_535:
            seen.events.clear()
            await seen.until(DataReceived)
            got += sum(len(event.data) for event in seen.of(DataReceived))
        assert got == 65_535
        seen.h2.increment_flow_control_window(10_000_000)
        seen.h2.increment_flow_control_window(10_000_000, 1)
        seen.flush()
        seen.events.clear()
        await seen.until(StreamEnded)
        assert seen.of(TrailersReceived)


async def test_what_is_no_http2_is_turned_away_and_others_are_served() -> None:
    async with RawGrpcServer(answer=three) as server:
        host, _, port = server.endpoint.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(5):
            await reader.read()
        writer.close()
        await writer.wait_closed()
        async with peer(server) as seen:
            seen.request()
            await seen.until(StreamEnded)
            assert seen.of(TrailersReceived)
