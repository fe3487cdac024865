"""Replaying gRPC: by the raw server, which can break a call as the recorded one broke."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from rpe.fakes.cassette.codes import STATUS_NUMBERS
from rpe.fakes.cassette.lines import EndLine, HeadersLine
from rpe.fakes.cassette.model import content_of
from rpe.fakes.cassette.played import PlayedCall
from rpe.fakes.cassette.playing import Arrivals, play
from rpe.fakes.cassette.replay import Stage
from rpe.fakes.cassette.scrubbing import Known
from rpe.fakes.journal import Kind
from rpe.fakes.mouth import RawCall, RawGrpcServer
from rpe.fakes.mouth.encoding import prefixed
from rpe.transport.serving import Refusal, StatusCode

__all__ = ["GrpcReplaying"]

_INTERNAL_ERROR = 2
_CANCEL = 8
"""Codes of RST_STREAM (RFC 9113, 7)."""

_FIRST_TAKES_S = 0.05

_LONGEST_TEXT = 2_000
"""Of the text of a status: it travels in a header, and those are bounded."""


class GrpcReplaying:
    """Serves a stage on gRPC. `endpoint` is where it listens, once started."""

    def __init__(self, stage: Stage, *, host: str, port: int) -> None:
        self._stage = stage
        self._server = RawGrpcServer(
            None, self._answer, name="replay", host=host, port=port, clock=stage.clock
        )

    @property
    def endpoint(self) -> str:
        """Where it listens, as `host:port`."""
        return self._server.endpoint

    async def start(self) -> None:
        """Bind and serve. Raises ConfigurationError where the address cannot be bound."""
        await self._server.start()

    async def stop(self) -> None:
        """Break off what runs, and close. Harmless twice."""
        await self._server.stop()

    async def _answer(self, call: RawCall) -> None:
        played = self._stage.begin(call.path)
        try:
            await self._play(call, played)
        finally:
            played.ended = played.ended or "cancelled"
            self._stage.on_end(played)
        call.note_end(Kind.SENT, played.ended)
        await call.stop_here()

    async def _play(self, call: RawCall, played: PlayedCall) -> None:
        stage = self._stage
        known = stage.known(call.metadata)
        arrivals = Arrivals(stage.clock)
        content = None
        if not stage.catalogue.knows(call.path):
            await self._taken(call)
        elif not stage.catalogue.answers_unasked(call.path):
            content = await self._first(call, known, arrivals, played)
        steps = stage.steps(played, call.path, "", content)
        if steps is None:
            played.ended = "UNIMPLEMENTED"
            raise Refusal(StatusCode.UNIMPLEMENTED, f"rpe fake replay: {played.by}"[:_LONGEST_TEXT])
        reading = asyncio.create_task(self._read(call, known, arrivals, played))
        try:
            mouth = _GrpcMouth(call, self._stage)
            await play(
                steps,
                mouth,
                arrivals,
                stage.begun,
                played,
                speed=stage.speed,
                clock=stage.clock,
            )
        finally:
            reading.cancel()
            await asyncio.wait([reading])

    async def _taken(self, call: RawCall) -> None:
        """Take a message before the call is refused: gRPC mistakes one that it cannot send for the cause."""
        clock = self._stage.clock
        with suppress(TimeoutError):
            async with clock.deadline(clock.now() + _FIRST_TAKES_S):
                await call.read()

    async def _first(self, call: RawCall, known: Known, arrivals: Arrivals, played: PlayedCall) -> str:
        message = await call.read()
        if message is None:
            arrivals.closed()
            return content_of([])
        arrivals.came()
        played.requests = 1
        return content_of([known.mask(message)])

    async def _read(self, call: RawCall, known: Known, arrivals: Arrivals, played: PlayedCall) -> None:
        """Take what comes, and note where it is not what was recorded."""
        recorded = self._stage.requests_of(played)
        try:
            while (message := await call.read()) is not None:
                at, played.requests = played.requests, played.requests + 1
                if at < len(recorded) and known.mask(message) != recorded[at]:
                    played.notes.append(f"request {at + 1} is not the recorded one")
                arrivals.came()
        except Refusal as refusal:
            played.notes.append(f"the requests cannot be read: {refusal.message}")
        if played.requests != len(recorded):
            played.notes.append(f"the caller sent {played.requests} requests, recorded were {len(recorded)}")
        arrivals.closed()


class _GrpcMouth:
    def __init__(self, call: RawCall, stage: Stage) -> None:
        self._call = call
        self._stage = stage

    async def headers(self, told: HeadersLine) -> None:
        self._call.headers_sent = True
        headers = [(":status", "200"), ("content-type", "application/grpc"), *told.metadata]
        self._call.connection.send_headers(self._call.stream_id, headers, end=False)

    async def answer(self, data: bytes) -> None:
        await self._call.write(prefixed(data))

    async def end(self, told: EndLine | None) -> str:
        call, connection = self._call, self._call.connection
        if told is None:
            connection.reset(call.stream_id, _INTERNAL_ERROR)
            return "unfinished"
        match told.how:
            case "status" | "unreached" | "deadline":
                code = told.code or "UNAVAILABLE"
                call.send_status(STATUS_NUMBERS[code], told.details, list(told.metadata))
                return code
            case "reset":
                connection.reset(call.stream_id, _INTERNAL_ERROR if told.number is None else told.number)
            case "cancelled":
                connection.reset(call.stream_id, _CANCEL)
            case "no_trailers":
                await call.write(b"", end=True)
            case "http_status":
                headers = [(":status", str(told.number)), ("content-type", "text/plain")]
                connection.send_headers(call.stream_id, headers, end=True)
            case _:
                if "reset by peer" in told.details:
                    connection.cut_inside_frame(call.stream_id, b"", reset=True)
                else:
                    connection.end_writing()
        return told.how

    async def fault(self, kind: str) -> str:
        if kind == "hang":
            await self._call.connection.for_ever()
        if kind == "cut":
            self._call.connection.end_writing()
            return "cut"
        splice = self._stage.splice
        assert splice is not None
        code = splice.code or "UNAVAILABLE"
        self._call.send_status(STATUS_NUMBERS[code], splice.details)
        return code
