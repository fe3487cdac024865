"""The routes of the wire: a request in, a question to the handler, an answer out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

from aiohttp import web

from rpe.errors import DataValidationError, ManifestInvalid
from rpe.transport.http.answers import Ending, answer_body, application_ending, error_response
from rpe.transport.http.idle import IdleConnections
from rpe.transport.http.keys import CANCEL_KEY, NODE_KEY, TIMESTAMP_KEY, WALL_TIME_KEY
from rpe.transport.http.labels import own_data
from rpe.transport.http.running import RunningRequests, break_off, server_call
from rpe.transport.http.sessions import Sessions
from rpe.transport.http.streaming import stream_output
from rpe.transport.serving import (
    Answer,
    ApplicationError,
    Damage,
    ErrorType,
    PipelineHandler,
    ReceivedChunk,
    Refusal,
    StatusCode,
)
from rpe.wire.json import decode_execute_request, decode_input, decode_stream_request

__all__ = ["Routes"]

_Work = Callable[[web.Request], Coroutine[Any, Any, web.StreamResponse]]

_MISSING_BYTES = 64
"""How many bytes an answer with a wrong length lacks."""


class Routes:
    """The five routes of the contract, for one handler."""

    def __init__(
        self,
        handler: PipelineHandler,
        requests: RunningRequests,
        sessions: Sessions,
        idle: IdleConnections,
        *,
        comment_s: float,
    ) -> None:
        self._handler = handler
        self._requests = requests
        self._sessions = sessions
        self._idle = idle
        self._comment_s = comment_s

    def add_to(self, app: web.Application, *, health: bool) -> None:
        """Put the routes into an application; `health` says whether the health check is among them."""
        router = app.router
        if health:
            router.add_get("/health", self._serve(self._health), allow_head=False)
        router.add_post("/execute", self._serve(self._execute))
        router.add_post("/stream", self._serve(self._open))
        router.add_post("/stream/{id}/input", self._serve(self._input))
        router.add_get("/stream/{id}/output", self._serve(self._output), allow_head=False)
        router.add_delete("/stream/{id}", self._serve(self._delete))

    def _serve(self, work: _Work) -> _Work:
        async def serve(request: web.Request) -> web.StreamResponse:
            with self._idle.busy(request):
                return await self._requests.run(request, work(request))

        return serve

    async def _health(self, request: web.Request) -> web.StreamResponse:
        serving = await self._handler.health(server_call("health", request), None)
        return web.Response(status=200 if serving else 503)

    async def _execute(self, request: web.Request) -> web.StreamResponse:
        call = server_call("execute", request)
        body = await request.read()
        try:
            manifest, given = decode_execute_request(body)
        except (DataValidationError, ManifestInvalid) as error:
            return error_response(_invalid(error))
        node_id = given.metadata.get(NODE_KEY) or manifest.entry
        try:
            async with asyncio.timeout(call.remaining_s) as deadline:
                reply = await self._handler.execute(call, manifest, {node_id: own_data(given)})
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise Refusal(StatusCode.DEADLINE_EXCEEDED, "the caller's deadline is over") from error
        if isinstance(reply, ApplicationError):
            return error_response(application_ending(reply))
        payload = answer_body(reply)
        if isinstance(reply, Answer) and reply.damage in (Damage.CUT_BODY, Damage.WRONG_LENGTH):
            await _break_body(request, payload, reply.damage)
        response = web.Response(body=payload, content_type="application/json")
        if isinstance(reply, Answer) and reply.wall_time_ms:
            response.headers[WALL_TIME_KEY] = f"{reply.wall_time_ms:.3f}"
        return response

    async def _open(self, request: web.Request) -> web.StreamResponse:
        call = server_call("stream", request)
        try:
            manifest = decode_stream_request(await request.read())
        except (DataValidationError, ManifestInvalid) as error:
            return error_response(_invalid(error))
        opened = await self._sessions.open(manifest, call)
        if not isinstance(opened, str):
            return error_response(opened)
        return web.Response(body=json.dumps({"session_id": opened}).encode(), content_type="application/json")

    async def _input(self, request: web.Request) -> web.StreamResponse:
        running = self._sessions.find(request.match_info["id"], server_call("input", request))
        session = running.session
        body = await request.read()
        try:
            given = decode_input(body)
            timestamp_ms = int(given.metadata.get(TIMESTAMP_KEY, 0))
        except (DataValidationError, ValueError) as error:
            invalid = _invalid(error)
            session.inbox.break_with(invalid.fields["message"])
            return error_response(invalid)
        if session.ending is not None:
            return error_response(session.ending)
        node_id = given.metadata.get(NODE_KEY) or session.manifest.entry
        chunk = ReceivedChunk(node_id, own_data(given), given.sequence or 0, timestamp_ms)
        await session.inbox.put(chunk, numbered=given.sequence is not None)
        return web.Response()

    async def _output(self, request: web.Request) -> web.StreamResponse:
        running = self._sessions.find(request.match_info["id"], server_call("output", request))
        return await stream_output(request, self._sessions, running, comment_s=self._comment_s)

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        running = self._sessions.find(request.match_info["id"], server_call("close", request))
        if CANCEL_KEY in request.headers:
            running.task.cancel()
        running.session.inbox.close()
        return web.Response()


def _invalid(error: Exception) -> Ending:
    """Return how a request ends that cannot be read."""
    told = "manifest" if isinstance(error, ManifestInvalid) else "input"
    message = error.message if isinstance(error, DataValidationError | ManifestInvalid) else str(error)
    return application_ending(ApplicationError(ErrorType.VALIDATION, message), told)


async def _break_body(request: web.Request, payload: bytes, damage: Damage) -> None:
    """Send an answer that ends before its time: halfway, or at its end, but with more announced."""
    cut = damage is Damage.CUT_BODY
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = len(payload) + (0 if cut else _MISSING_BYTES)
    await response.prepare(request)
    await response.write(payload[: len(payload) // 2] if cut else payload)
    await break_off(request, reset=False)
