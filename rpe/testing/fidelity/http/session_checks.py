"""Checks of the sessions over HTTP: their requests, and their server-sent events."""

from __future__ import annotations

from rpe.data import Text
from rpe.testing.fidelity.http.calls import check_error
from rpe.testing.fidelity.http.events import EventReader
from rpe.testing.fidelity.http.sessions import HttpSession
from rpe.testing.fidelity.model import NotApplicable, Violation
from rpe.testing.fidelity.suite import Checks
from rpe.testing.fidelity.target import Target

__all__ = ["checks"]

checks = Checks("http")

_CHUNKS = 8
_SESSIONS = "docs/http.md, Sessions"
_EVENTS = "docs/http.md, GET /stream/{id}/output"


@checks(
    "events-head",
    proves="An output is text/event-stream, without a Content-Length, and its head comes at once.",
    contract=f"{_EVENTS}; WHATWG HTML, 9.2.6",
)
async def _events_head(target: Target) -> None:
    async with HttpSession.open(target) as session, session.output() as response:
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "text/event-stream":
            raise Violation(f"the content-type of an output is {kind or 'nowhere'!r}")
        if response.length is not None:
            raise Violation(f"an output that has no end yet has the Content-Length {response.length}")
        if not response.chunked and response.headers.get("connection", "").lower() != "close":
            raise Violation("an output is neither chunked nor ended by closing, so nobody knows its end")
        await session.delete()


@checks(
    "events-at-once",
    proves="Each result comes as an event while the session goes on, and not when it is over.",
    contract=_EVENTS,
)
async def _events_at_once(target: Target) -> None:
    async with HttpSession.open(target) as session, session.output() as response:
        events = EventReader(response)
        for sequence in range(3):
            await session.say(sequence)
            await session.hear(events, sequence)
        await session.delete()


@checks(
    "events-framing",
    proves="Lines are fields or comments; each event ends with a blank line and is a TransportData.",
    contract="WHATWG HTML, 9.2.5; docs/http.md",
)
async def _events_framing(target: Target) -> None:
    async with HttpSession.open(target) as session:
        await session.say(0)
        await session.say(1)
        await session.delete()
        async with session.output() as response:
            events = EventReader(response)
            await session.hear(events, 0)
            await session.hear(events, 1)
            await session.check_end(events)


@checks(
    "events-keep-alive",
    proves="A silent output gets comments, so that both sides know that the other one lives.",
    contract=f"{_EVENTS}: keep-alive comments",
    in_silence=True,
)
async def _events_keep_alive(target: Target) -> None:
    if target.silence_s is None:
        raise NotApplicable("nobody said how long the server may be silent, so it is not waited for")
    async with HttpSession.open(target) as session, session.output() as response:
        events = EventReader(response)
        await events.comment()
        await session.say(0)
        await session.hear(events, 0)
        await session.delete()


@checks(
    "session-id",
    proves="POST /stream gives a session_id, another one for each session.",
    contract="docs/http.md, POST /stream",
)
async def _session_id(target: Target) -> None:
    async with HttpSession.open(target) as first, HttpSession.open(target) as second:
        if first.path == second.path:
            raise Violation(f"two sessions have the path {first.path}")
        await first.delete()
        await second.delete()


@checks(
    "session-order",
    proves=f"{_CHUNKS} chunks come back in their order, each under the sequence of its chunk.",
    contract=_SESSIONS,
)
async def _session_order(target: Target) -> None:
    async with HttpSession.open(target) as session, session.output() as response:
        events = EventReader(response)
        numbers = [number + number // 3 for number in range(_CHUNKS)]  # with gaps, which are tolerated
        for number in numbers:
            await session.say(number)
        for number in numbers:
            await session.hear(events, number)
        await session.delete()


@checks(
    "session-delete",
    proves="After DELETE what is still due comes, and then the output ends in good order.",
    contract="docs/http.md, DELETE /stream/{id}",
)
async def _session_delete(target: Target) -> None:
    async with HttpSession.open(target) as session, session.output() as response:
        events = EventReader(response)
        for sequence in range(3):
            await session.say(sequence)
        await session.delete()
        for sequence in range(3):
            await session.hear(events, sequence)
        await session.check_end(events)


@checks(
    "input-after-delete",
    proves="A chunk that comes after DELETE is refused, by a status of 400 to 499 and an error in JSON.",
    contract="docs/http.md, DELETE /stream/{id}: no more chunks",
)
async def _input_after_delete(target: Target) -> None:
    async with HttpSession.open(target) as session:
        await session.say(0)
        await session.delete()
        response = await session.post(Text("too late"), 1)
        await check_error(response, "a chunk after DELETE", (400, 404, 409, 410))


@checks(
    "broken-input",
    proves="A chunk that is no JSON is answered with 400 and an error.",
    contract="docs/http.md, POST /stream/{id}/input",
)
async def _broken_input(target: Target) -> None:
    async with HttpSession.open(target) as session:
        response = await session.connection.send("POST", f"{session.path}/input", b'{"data": ')
        await check_error(response, "a broken chunk", (400,))
