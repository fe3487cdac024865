"""Planted secrets never reach the file, and a scrubbed recording still fits the calls that have them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from rpe.fakes.cassette import Recorder, Replay, read_cassette
from rpe.fakes.cassette.listening import Listening
from rpe.fakes.cassette.pieces import pieces_of
from rpe.fakes.cassette.scrubbing import UNSCRUBBABLE, Known, Scrubber
from rpe.fakes.mouth import RawCall, RawGrpcServer
from rpe.transport.serving import Refusal, StatusCode
from tests.fakes.cassette.calling import ask, channel_to

Open = Callable[..., Any]
TOKEN = "planted-token-0123456789"
OTHER = "planted/other+secret=="
COOKIE = "planted-cookie-value"
PARAMETER = "planted-parameter"
FIELD = "planted-field"


def assert_clean(cassette: Path) -> None:
    """Neither the text of the file nor any message in it holds what was planted."""
    text = cassette.read_text(encoding="utf-8")
    whole = [text, *(repr(call.requests) + repr(call.answers) for call in read_cassette(cassette).calls)]
    for part in whole:
        assert "planted" not in part, part
    assert "scrubbed" in text


async def test_secrets_of_grpc_stay_out(cassette: Path, replaying: Open) -> None:
    async def repeats(call: RawCall) -> None:
        """What a careless server does: it says everything again."""
        first = await call.read()
        await call.send(first or b"")
        text = f"bad token {TOKEN}, and {call.metadata['mine']}"
        raise Refusal(StatusCode.UNAUTHENTICATED, text, metadata={"told": TOKEN, "x-session-token": OTHER})

    secret = (
        ("authorization", f"Bearer {TOKEN}"),
        ("x-api-key", OTHER),
        ("my-token-bin", OTHER.encode()),
        ("mine", FIELD),
    )
    request = b"\x0a\x20" + TOKEN.encode() + b" again"
    async with (
        RawGrpcServer(None, repeats) as server,
        Recorder(f"grpc://{server.endpoint}", path=cassette, scrub=["mine"]) as recorder,
        channel_to(recorder.endpoint) as channel,
    ):
        live = await ask(channel, "/a.B/C", [request], metadata=secret)
    assert TOKEN in live.details and live.messages == [request]  # the caller is told as ever
    assert_clean(cassette)
    [call] = read_cassette(cassette).calls
    assert len(call.requests[0]) == len(request)
    async with replaying(match="content") as (replay, channel):
        heard = await ask(channel, "/a.B/C", [request], metadata=secret)
        assert heard.code == "UNAUTHENTICATED" and "bad token scrubbed" in heard.details
        assert replay.calls[0].by == "content"


async def test_secrets_of_http_stay_out(cassette: Path) -> None:
    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        if request.path == "/events":
            answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await answer.prepare(request)
            event = json.dumps({"login": {"pass": FIELD}, "text": "hi"})
            await answer.write(f"data: {event[:30]}".encode())
            await answer.write(f"{event[30:]}\n\n".encode())  # the secret was cut in two
            await answer.write(f"data: {TOKEN}\n\nno event of {FIELD}\n\n".encode())
            await answer.write_eof()
            return answer
        plain = web.Response(body=body, content_type=request.content_type)
        plain.headers["Set-Cookie"] = f"id={COOKIE}; Path=/"
        plain.headers["Location"] = f"/next?access_token={PARAMETER}&page=2"
        return plain

    body = json.dumps({"login": {"pass": FIELD}, "list": [{"login": {"pass": FIELD}}], "text": TOKEN})
    form = f"a=1&password={PARAMETER}&pass={FIELD}"
    headers = {
        "Authorization": f"Bearer {TOKEN}",
        "X-Session-Token": OTHER,
        "Cookie": f"id={COOKIE}",
        "Proxy-Authorization": f"Basic {OTHER}",
    }
    server = Listening(serve, host="127.0.0.1", port=0)
    await server.start()

    async def use(url: str, kind: str, data: str, path: str) -> str:
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.post(url + path, data=data, headers={**headers, "Content-Type": kind}) as answer,
        ):
            return await answer.text()

    asked = [
        ("application/json", body, f"/x?api_key={PARAMETER}&pass={FIELD}&y=1"),
        ("application/x-www-form-urlencoded", form, "/form"),
        ("application/json", body, "/events"),
    ]
    try:
        async with Recorder(
            f"http://{server.endpoint}", path=cassette, scrub=["login.pass", "pass"]
        ) as recorder:
            for kind, data, path in asked:
                told = await use(f"http://{recorder.endpoint}", kind, data, path)
                assert path == "/events" or told == data
    finally:
        await server.stop()
    assert_clean(cassette)
    calls = read_cassette(cassette).calls
    assert calls[0].head.path == "/x?api_key=scrubbed&pass=scrubbed&y=1"
    assert calls[1].requests == [b"a=1&password=scrubbed&pass=scrubbed"]
    assert json.loads(calls[0].requests[0])["list"] == [{"login": {"pass": "scrubbed"}}]
    assert b'data: {"login":{"pass":"scrubbed"},"text":"hi"}\n\n' in calls[2].answers
    async with Replay(cassette, speed=0, match="content") as replay:
        for kind, data, path in asked:
            assert "scrubbed" in await use(f"http://{replay.endpoint}", kind, data, path)
        assert [call.recorded for call in replay.calls] == [1, 2, 3]
        assert "planted" not in repr(replay.calls)


def scrubbed(body: bytes, *names: str, kind: str = "application/json", encoding: str = "") -> bytes:
    pieces = pieces_of(kind, encoding, Scrubber(names), Known())
    return b"".join([*pieces.feed(body[:5]), *pieces.feed(body[5:]), *pieces.rest(broken=False)])


@pytest.mark.parametrize(
    ("names", "body", "kept"),
    [
        ((), b'{"a": 1}', b'{"a": 1}'),
        (("b",), b'{"a":  1}', b'{"a":  1}'),
        (("a",), b'{"a": 1, "c": [{"a": {"x": 2}}]}', b'{"a":"scrubbed","c":[{"a":"scrubbed"}]}'),
        (("c.a",), b'{"a": 1, "c": [{"a": 2}]}', b'{"a":1,"c":[{"a":"scrubbed"}]}'),
        (("a",), b'{"a": 1}\n{"b": 2}\n', b'{"a":"scrubbed"}\n{"b": 2}\n'),
        (("a",), b'{"a": 1', UNSCRUBBABLE),
        (("a",), b"", b""),
    ],
)
def test_fields_of_json_are_scrubbed(names: tuple[str, ...], body: bytes, kept: bytes) -> None:
    assert scrubbed(body, *names) == kept


def test_what_cannot_be_looked_into_is_not_kept() -> None:
    body = gzip.compress(b'{"a": "planted"}')
    assert scrubbed(body, "a", encoding="gzip") == UNSCRUBBABLE
    assert scrubbed(body, encoding="gzip") == body
    event = b'data: {"a":\ndata: "planted"}\nid: 1\n\n'
    assert scrubbed(event, "a", kind="text/event-stream") == b'data: {"a":"scrubbed"}\nid: 1\n\n'
    half = pieces_of("text/event-stream", "", Scrubber(["a"]), Known())
    assert half.feed(b'data: {"a": "plan') == []
    assert half.rest(broken=True) == [UNSCRUBBABLE]


@pytest.mark.parametrize(
    "name",
    ["authorization", "Cookie", "set-cookie", "x-api-key", "proxy-authorization", "my-token", "tokens-of"],
)
def test_some_names_are_always_secret(name: str) -> None:
    assert Scrubber().is_secret(name)
    assert not Scrubber().is_secret("content-type")


def test_a_repr_shows_no_secret() -> None:
    known = Known()
    known.add(TOKEN)
    assert TOKEN not in repr(known)
    assert known.hide(f"<{TOKEN}>") == "<scrubbed>"
    assert known.mask(TOKEN.encode()) == b"x" * len(TOKEN)
    known.add("12345678")
    known.add("short")
    assert known.hide("12345678 short") == "12345678 short"
