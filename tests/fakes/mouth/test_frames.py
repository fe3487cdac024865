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
    WindowUpdated,
)

from rpe.fakes.journal import Kind
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

    def request(self, payload: bytes = prefixed(b"x"), *, end: bool = True) -> int:
        stream_id = self.h2.get_next_available_stream_id()
        headers = [(":method", "POST"), (":path", "/a/B"), (":scheme", "http"), (":authority", "x")]
        self.h2.send_headers(stream_id, [*headers, ("content-type", "application/grpc"), ("te", "trailers")])
        self.h2.send_data(stream_id, payload, end_stream=end)
        self.flush()
        return stream_id

    def request_unsent(self) -> int:
        """Prepare the headers of a request, which go out with what follows."""
        stream_id = self.h2.get_next_available_stream_id()
        headers = [(":method", "POST"), (":path", "/a/B"), (":scheme", "http"), (":authority", "x")]
        self.h2.send_headers(stream_id, headers)
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


async def echo(call: RawCall) -> bytes | None:
    while (message := await call.read()) is not None:
        await call.send(message)
    return None


async def test_a_caller_is_held_when_its_window_is_used_up_and_not_before() -> None:
    script = calls(kind="stop_reading", after_messages=1, window_bytes=100, for_s=0.05)
    async with RawGrpcServer(script, echo, trace=True) as server, peer(server) as seen:
        await seen.until(SettingsAcknowledged)
        stream = seen.request(prefixed(b"first") + prefixed(b"more")[:4], end=False)
        while seen.h2.local_flow_control_window(stream) != 96:  # what was read is given back, the rest is not
            seen.events.clear()
            await seen.until(WindowUpdated)
        seen.h2.send_data(stream, prefixed(b"more")[4:] + prefixed(b"x" * 81))
        seen.flush()  # 95 of the 100 bytes are used: one more message of the smallest kind goes
        assert not server.journal.entries(fault="stalled")
        seen.h2.send_data(stream, prefixed(b""))
        assert seen.h2.local_flow_control_window(stream) == 0
        seen.flush()
        stalled = await server.journal.wait_for(lambda entry: entry.fault == "stalled")
        assert stalled.detail == "bytes=100 messages=1"
        await server.journal.wait_for(lambda entry: entry.fault == "resumed")
        seen.h2.end_stream(stream)
        seen.flush()
        await seen.until(StreamEnded)
        assert seen.of(TrailersReceived)
    kinds = [entry.fault or entry.detail or str(entry.kind) for entry in server.journal]
    assert kinds[:9] == [
        *("received", "chunk", "stop_reading", "result", "stalled", "resumed"),
        *("chunk", "chunk", "chunk"),
    ]
    assert sorted(kinds[9:]) == ["caught_up", "half_closed", "result", "result", "result", "sent"]


async def test_who_stops_reading_gives_nothing_on_that_stream_and_everything_on_others() -> None:
    script = calls(kind="stop_reading", first=1)
    async with RawGrpcServer(script, echo) as server, peer(server) as seen:
        held = seen.request(b"", end=False)
        for _ in range(3):  # 49 152 bytes in all, which is what a window of 65 535 has room for
            seen.h2.send_data(held, bytes(16_384))
        seen.flush()
        for _ in range(4):
            other = seen.request(prefixed(b"x" * 16_000))
            while not any(event.stream_id == other for event in seen.of(StreamEnded)):
                seen.events.clear()
                await seen.until(StreamEnded)
        assert seen.h2.local_flow_control_window(held) == 65_535 - 3 * 16_384
        assert all(event.stream_id != held for event in seen.of(WindowUpdated))
        seen.h2.reset_stream(held, 8)
        seen.flush()
        ended = await server.journal.wait_for(lambda entry: entry.kind is Kind.CANCELLED)
        assert (ended.call, ended.detail) == (1, "RST_STREAM 8 CANCEL")


async def test_a_small_window_is_for_the_calls_that_stop_and_for_connections_that_come() -> None:
    script = calls(kind="stop_reading", window_bytes=100, first=1)
    async with RawGrpcServer(script, echo) as server, peer(server) as seen:
        await seen.until(SettingsAcknowledged)
        held = seen.request(end=False)
        seen.request(end=False)
        await seen.until(WindowUpdated)
        assert seen.h2.local_flow_control_window(held) == 100 - len(prefixed(b"x"))
        [opened] = [event for event in seen.of(WindowUpdated) if event.stream_id]
        assert (opened.stream_id, opened.delta) == (held + 2, 65_535 - 100)
        server.set_script(calls(kind="stop_reading", window_bytes=50))
        late = seen.request(end=False)
        await server.journal.wait_for(lambda entry: entry.call == 3 and entry.fault == "stop_reading")
        assert server.journal.entries(fault="stop_reading")[-1].detail == "messages=0 window_bytes=100"
        async with peer(server) as other:
            await other.until(SettingsAcknowledged)
            assert other.h2.local_flow_control_window(other.request(b"", end=False)) == 50
        assert late == held + 4


async def test_a_request_that_ends_while_nobody_reads_is_read_to_its_end_later() -> None:
    script = calls(kind="stop_reading", for_s=0.05)
    async with RawGrpcServer(script, echo) as server, peer(server) as seen:
        seen.request(prefixed(b"one") + prefixed(b"two"))
        await seen.until(StreamEnded)
        assert [event.data for event in seen.of(DataReceived)] == [prefixed(b"one"), prefixed(b"two")]
    [resumed] = server.journal.entries(fault="resumed")
    assert resumed.detail == "held_s=0.000000 bytes=16"
    assert not server.journal.entries(fault="stalled")


async def test_a_call_that_is_cancelled_as_soon_as_it_comes_is_not_served() -> None:
    served: list[RawCall] = []

    async def answer(call: RawCall) -> bytes | None:
        served.append(call)
        return b""

    async with RawGrpcServer(answer=answer) as server, peer(server) as seen:
        await seen.until(SettingsAcknowledged)
        seen.h2.reset_stream(seen.request_unsent(), 8)
        seen.flush()
        ended = await server.journal.wait_for(lambda entry: entry.kind is Kind.CANCELLED)
        assert ended.detail == "RST_STREAM 8 CANCEL" and not served


async def test_a_caller_that_closes_the_connection_is_told_from_one_that_resets() -> None:
    async with RawGrpcServer(calls(kind="stop_reading", for_s=30.0), echo) as server:
        async with peer(server) as seen:
            seen.request(end=False)
            await server.journal.wait_for(lambda entry: entry.fault == "stop_reading")
        ended = await server.journal.wait_for(lambda entry: entry.kind is Kind.CANCELLED)
        assert ended.detail == "the caller has closed the connection"
