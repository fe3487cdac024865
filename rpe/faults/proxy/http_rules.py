"""The rules that hold for every request: who may ask, how answers look, what is not routed."""

from __future__ import annotations

import json
import secrets
import string
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from rpe.faults.proxy.failures import ApiError

__all__ = ["answer", "empty", "rules"]

REQUEST_ID_HEADER = "X-Toxiproxy-Request-Id"
BROWSER_PREFIX = "Mozilla/"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def answer(value: Any, *, status: int = 200, end: str = "") -> web.Response:
    """Return a JSON response in Toxiproxy's spelling; `end` follows the JSON."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False) + end
    return web.Response(body=text.encode(), status=status, content_type="application/json")


def empty() -> web.Response:
    """Return the answer to what was done and has nothing to show."""
    return web.Response(status=204)


@web.middleware
async def rules(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Apply the rules to one request.

    Browsers are refused, so that a web page cannot drive the proxy of a developer's machine.
    What no route takes is answered as Go's router does, in plain text and without an id.
    """
    unrouted = request.match_info.http_exception
    if isinstance(unrouted, web.HTTPMethodNotAllowed):
        return web.Response(status=405)
    if unrouted is not None:
        return web.Response(text="404 page not found\n", status=404)
    response = await _respond(request, handler)
    response.headers[REQUEST_ID_HEADER] = _request_id()
    return response


async def _respond(request: web.Request, handler: Handler) -> web.StreamResponse:
    if request.headers.get("User-Agent", "").startswith(BROWSER_PREFIX):
        return web.Response(text="User agent not allowed\n", status=403)
    try:
        return await handler(request)
    except ApiError as error:
        return _failure(error.status, error.message)


def _failure(status: int, message: str) -> web.Response:
    return answer({"error": message, "status": status}, status=status, end="\n")


def _request_id() -> str:
    return "".join(secrets.choice(_ID_ALPHABET) for _ in range(20))


_ID_ALPHABET = string.ascii_lowercase + string.digits
