"""Replaying HTTP: answers piece by piece, and broken off where the recorded ones were."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiohttp import web

from rpe.fakes.cassette.lines import EndLine, HeadersLine
from rpe.fakes.cassette.listening import Listening, path_of
from rpe.fakes.cassette.model import content_of
from rpe.fakes.cassette.pieces import pieces_of
from rpe.fakes.cassette.played import PlayedCall
from rpe.fakes.cassette.playing import Arrivals, play
from rpe.fakes.cassette.replay import Stage
from rpe.fakes.cassette.scrubbing import Known
from rpe.fakes.cassette.steps import Step
from rpe.transport.http.running import break_off

__all__ = ["HttpReplaying"]

_UNAVAILABLE = 503
_NO_BODY = frozenset({204, 304})


class HttpReplaying:
    """Serves a stage on HTTP. `endpoint` is where it listens, once started."""

    def __init__(self, stage: Stage, *, host: str, port: int) -> None:
        self._stage = stage
        self._listening = Listening(self._serve, host=host, port=port)

    @property
    def endpoint(self) -> str:
        """Where it listens, as `host:port`."""
        return self._listening.endpoint

    async def start(self) -> None:
        """Bind and serve. Raises ConfigurationError where the address cannot be bound."""
        await self._listening.start()

    async def stop(self) -> None:
        """Break off what runs, and close. Harmless twice."""
        await self._listening.stop()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        stage = self._stage
        known = stage.known(request.headers)
        path = stage.scrubber.target(path_of(request), known)
        played = stage.begin(f"{request.method} {path}")
        arrivals = Arrivals(stage.clock)
        reading = asyncio.create_task(self._read(request, known, arrivals, played))
        try:
            content = None
            if stage.catalogue.knows(request.method, path) and not stage.catalogue.answers_unasked(
                request.method, path
            ):
                content = await asyncio.shield(reading)
            steps = stage.steps(played, request.method, path, content)
            if steps is None:
                played.ended = "404"
                return web.Response(status=404, text=f"rpe fake replay: {played.by}\n")
            mouth = _HttpMouth(request, stage, steps)
            await play(
                steps,
                mouth,
                arrivals,
                stage.begun,
                played,
                speed=stage.speed,
                clock=stage.clock,
            )
            return mouth.done()
        finally:
            played.ended = played.ended or "cancelled"
            reading.cancel()
            await asyncio.wait([reading])
            stage.on_end(played)

    async def _read(
        self, request: web.BaseRequest, known: Known, arrivals: Arrivals, played: PlayedCall
    ) -> str:
        """Take the body as it comes, and return the hash of it as a cassette would have kept it."""
        kind, encoding = request.headers.get("Content-Type", ""), request.headers.get("Content-Encoding", "")
        pieces = pieces_of(kind, encoding, self._stage.scrubber, known)
        kept: list[bytes] = []
        if request.body_exists:
            async for data in request.content.iter_any():
                kept += pieces.feed(data)
                played.requests += 1
                arrivals.came()
            kept += pieces.rest(broken=False)
        arrivals.closed()
        return content_of(kept)


class _HttpMouth:
    def __init__(self, request: web.BaseRequest, stage: Stage, steps: Sequence[Step]) -> None:
        self._request = request
        self._stage = stage
        self._steps = steps
        self._response: web.StreamResponse | None = None

    def done(self) -> web.StreamResponse:
        """Return the answer, which has been sent."""
        assert self._response is not None
        return self._response

    async def headers(self, told: HeadersLine) -> None:
        assert told.status is not None
        last = self._steps[-1].told
        whole = isinstance(last, EndLine) and last.how == "complete"
        if not whole and (self._request.method == "HEAD" or told.status in _NO_BODY):
            return  # headers would be the whole answer
        response = web.StreamResponse(status=told.status, reason=told.reason or None)
        response.headers.extend(told.metadata)
        self._fit_length(response, whole)
        self._response = response
        await response.prepare(self._request)

    def _fit_length(self, response: web.StreamResponse, whole: bool) -> None:
        """Say how much comes, which a fault or the scrubbing may have changed; more, where it breaks off."""
        promised = response.headers.get("Content-Length", "")
        if not promised.isdecimal() or self._request.method == "HEAD":
            return
        comes = sum(len(step.data) for step in self._steps if step.kind == "answer")
        response.headers["Content-Length"] = str(comes if whole else max(int(promised), comes + 1))

    async def answer(self, data: bytes) -> None:
        assert self._response is not None
        await self._response.write(data)

    async def end(self, told: EndLine | None) -> str:
        how = "unfinished" if told is None else told.how
        if told is not None and how == "unreached":
            await self._whole(told.number or web.HTTPBadGateway.status_code, told.details)
        elif how == "complete" and self._response is not None:
            await self._response.write_eof()
        else:
            await self._break(reset=how in ("reset", "unfinished"))
        return how

    async def fault(self, kind: str) -> str:
        if kind == "hang":
            await asyncio.get_running_loop().create_future()
        if kind == "cut":
            await self._break(reset=False)
        splice = self._stage.splice
        assert splice is not None
        code = int(splice.code or _UNAVAILABLE)
        await self._whole(code, splice.details)
        return str(code)

    async def _whole(self, status: int, text: str) -> None:
        self._response = response = web.Response(status=status, text=f"{text}\n")
        await response.prepare(self._request)
        await response.write_eof()

    async def _break(self, *, reset: bool) -> None:
        await break_off(self._request, reset=reset)  # type: ignore[arg-type]  # any request has what it uses
