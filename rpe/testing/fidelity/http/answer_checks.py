"""Checks of single requests over HTTP: executions, errors, health and tokens."""

from __future__ import annotations

from rpe.data import Text
from rpe.testing.fidelity.http.calls import check_error, execute, execute_body, strange_body, stream_body
from rpe.testing.fidelity.http.client import HttpConnection, request
from rpe.testing.fidelity.model import NotApplicable, Violation
from rpe.testing.fidelity.samples import check_same, check_same_answers, samples
from rpe.testing.fidelity.suite import Checks
from rpe.testing.fidelity.target import Target
from rpe.wire.json import decode_output

__all__ = ["checks"]

checks = Checks("http")

_ERRORS = "HTTP wire: errors are JSON with error_type and message"
_BROKEN = (b'{"manifest": {', b"", b"\xff\xfe", b"[]", b'"text"')


@checks(
    "health", proves="GET /health is answered with 200 and no body.", contract="docs/http.md, GET /health"
)
async def _health(target: Target) -> None:
    async with request(target, "GET", "/health", token="") as response:
        body = await response.body()
        if response.status != 200 or body:
            raise Violation(f"it was answered with {response.status} and {len(body)} bytes")


@checks(
    "execute",
    proves="Text, JSON, bytes and sound come back from the node as they were sent, bit for bit.",
    contract="docs/http.md, POST /execute",
)
async def _execute(target: Target) -> None:
    async with HttpConnection.open(target) as connection:
        for kind, data in samples().items():
            check_same(data, await execute(connection, data), kind)


@checks(
    "same-answer",
    proves="Identical requests get identical answers by content, unless their labels say otherwise.",
    contract="docs/http.md, POST /execute",
)
async def _same_answer(target: Target) -> None:
    async with HttpConnection.open(target) as connection:
        for data in samples().values():
            check_same_answers(await execute(connection, data), await execute(connection, data))


@checks(
    "split-body",
    proves="A request body that is sent in chunks and has no length is put together.",
    contract="RFC 9112, 7.1",
)
async def _split_body(target: Target) -> None:
    async with HttpConnection.open(target) as connection:
        sent = Text("in many pieces")
        response = await connection.send("POST", "/execute", execute_body(target, sent), pieces=7)
        body = await response.body()
        if response.status != 200:
            raise Violation(f"it was answered with {response.status}: {body[:120]!r}")
        check_same(sent, decode_output(body).data, "the text")


@checks(
    "big-body",
    proves="A body of 1 MiB goes through in both directions.",
    contract="docs/http.md, POST /execute",
)
async def _big_body(target: Target) -> None:
    async with HttpConnection.open(target) as connection:
        sent = Text("0123456789abcdef" * (64 * 1024))
        check_same(sent, await execute(connection, sent), "the text")


@checks(
    "broken-json",
    proves="A body that is no JSON, or of no known form, is answered with 400; the connection lives on.",
    contract=_ERRORS,
)
async def _broken_json(target: Target) -> None:
    async with HttpConnection.open(target) as connection:
        for path in ("/execute", "/stream"):
            for body in _BROKEN:
                response = await connection.send("POST", path, body)
                await check_error(response, f"{body[:20]!r} to {path}", (400,))
        sent = Text("after it")
        check_same(sent, await execute(connection, sent), "the text after it")


@checks(
    "invalid-manifest",
    proves="A manifest with a connection to nowhere is answered with 400 and an error that says so.",
    contract=_ERRORS,
)
async def _invalid_manifest(target: Target) -> None:
    async with request(target, "POST", "/execute", strange_body(target, Text("x"))) as response:
        await check_error(response, "the manifest", (400,))


@checks(
    "unknown-node-type",
    proves="A node type that the server does not have is answered with 400 or 500, and an error in JSON.",
    contract=_ERRORS,
)
async def _unknown_node_type(target: Target) -> None:
    body = execute_body(target, Text("x")).replace(
        f'"{target.node_type}"'.encode(), b'"NoSuchNodeTypeAnywhere"'
    )
    async with request(target, "POST", "/execute", body) as response:
        await check_error(response, "the node type", (400, 500))


@checks(
    "unknown-session",
    proves="Input to, output of and DELETE of a session that is not there are answered with 404.",
    contract="HTTP wire: an unknown session is 404",
)
async def _unknown_session(target: Target) -> None:
    path = "/stream/no-such-session"
    async with HttpConnection.open(target) as connection:
        for method, there in (("POST", "/input"), ("GET", "/output"), ("DELETE", "")):
            body = (
                b'{"data": {"data": {"Text": "x"}, "sequence": 0, "metadata": {}}}'
                if there == "/input"
                else None
            )
            response = await connection.send(method, path + there, body)
            await check_error(response, f"{method} {there or 'the session'}", (404,))


@checks(
    "token",
    proves="A request without the token, or with another one, is refused with 401, or 403 for another one.",
    contract="docs/auth.md",
)
async def _token(target: Target) -> None:
    if not target.token:
        raise NotApplicable("no token was given, so the server has nothing to refuse")
    bodies = {"/execute": execute_body(target, Text("x")), "/stream": stream_body(target)}
    for path, body in bodies.items():
        for token, statuses in (("", (401,)), (f"not-{target.token}", (401, 403))):
            async with request(target, "POST", path, body, token=token) as response:
                await check_error(response, "another token" if token else "no token", statuses)
