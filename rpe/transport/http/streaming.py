"""Writing the output of a session: events as they come, comments while none does."""

from __future__ import annotations

import asyncio

from aiohttp import web

from rpe.transport.http.keys import CLOSED_EVENT, SPEAKS, WIRE_KEY
from rpe.transport.http.outbox import Outgoing
from rpe.transport.http.running import break_off
from rpe.transport.http.sessions import RunningSession, Sessions
from rpe.transport.http.sse import COMMENT
from rpe.transport.serving import Damage, Refusal, StatusCode

__all__ = ["stream_output"]

_SLOW_PIECES = 8
_SLOW_PAUSE_S = 0.02

_BREAKING = (Damage.CUT_BODY, Damage.WRONG_LENGTH)
_HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # a proxy that gathers what it passes on would hold events back
}


async def stream_output(
    request: web.Request, sessions: Sessions, running: RunningSession, *, comment_s: float
) -> web.StreamResponse:
    """Send the events of a session until it ends, with a comment after each `comment_s` seconds of silence.

    Another reader that takes over ends this one. Raises Refusal where the output cannot be
    taken up at the place that the caller names.
    """
    reader = sessions.attach(running, _position(request))
    try:
        agreed = request.headers.get(WIRE_KEY) == SPEAKS
        response = web.StreamResponse(headers={**_HEADERS, WIRE_KEY: SPEAKS} if agreed else _HEADERS)
        await response.prepare(request)
        while not reader.done:
            if events := reader.ready():
                await _write(request, response, events, agreed=agreed)
            elif not await reader.wait(comment_s):
                await response.write(COMMENT)
        if running.cut or reader.replaced:
            await break_off(request, reset=True)
        await response.write_eof()
        return response
    finally:
        sessions.detach(running, reader)


async def _write(
    request: web.Request, response: web.StreamResponse, events: list[Outgoing], *, agreed: bool
) -> None:
    """Write events, together where nothing is to be done to any of them."""
    plain = bytearray()
    for event in events:
        if event.kind == CLOSED_EVENT and not agreed:
            continue
        if event.damage is None:
            plain += event.payload
            continue
        if plain:
            await response.write(bytes(plain))
            plain.clear()
        await _write_damaged(request, response, event)
    if plain:
        await response.write(bytes(plain))


async def _write_damaged(request: web.Request, response: web.StreamResponse, event: Outgoing) -> None:
    payload = event.payload
    if event.damage in _BREAKING:
        await response.write(payload[: len(payload) // 2])
        await break_off(request, reset=False)
    if event.damage is Damage.SLOW:
        size = -(-len(payload) // _SLOW_PIECES)
        for start in range(0, len(payload), size):
            await response.write(payload[start : start + size])
            await asyncio.sleep(_SLOW_PAUSE_S)
        return
    await response.write(payload * 2 if event.damage is Damage.DUPLICATE else payload)


def _position(request: web.Request) -> int | None:
    told = request.headers.get("Last-Event-ID", "")
    if not told:
        return None
    if not (told.isascii() and told.isdecimal() and len(told) < 16):
        raise Refusal(StatusCode.OUT_OF_RANGE, f"there is no event {told[:40]!r}", http_status=410)
    return int(told)
