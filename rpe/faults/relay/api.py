"""The HTTP API of the relay, in the style of the TCP proxy's: relays for proxies, impairments for toxics."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from aiohttp import web

from rpe.errors import ConfigurationError
from rpe.faults.actions import Stream
from rpe.faults.proxy.failures import ApiError
from rpe.faults.proxy.gojson import Fields, read_object
from rpe.faults.proxy.http_rules import answer, empty, rules
from rpe.faults.relay.impairments import IMPAIRMENTS
from rpe.faults.relay.link import InForce, RelayLink
from rpe.faults.relay.relays import VIA, Relay, Relays, Via
from rpe.faults.relay.standin import Side

__all__ = ["RELAY_VERSION", "Api"]

RELAY_VERSION = "1"
"""The version of this API."""

SHUTDOWN_S = 1.0
STREAMS = ("upstream", "downstream")
SIDES = ("server", "client")
SHOWN_DRAWS = 1000
"""How many records an answer shows where the request does not say."""


class Api:
    """Serves relays over HTTP on a listening socket, which it owns from `start` on."""

    def __init__(self, relays: Relays) -> None:
        self._relays = relays
        self._runner: web.AppRunner | None = None

    async def start(self, sock: socket.socket) -> None:
        """Serve; requests are answered when this returns."""
        self._runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=SHUTDOWN_S)
        await self._runner.setup()
        await web.SockSite(self._runner, sock).start()

    async def stop(self) -> None:
        """Stop listening and end every request; harmless when not started."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[rules, _refusals])
        relay, impairments = "/relays/{relay}", "/relays/{relay}/impairments"
        app.router.add_get("/relays", self._list_relays, allow_head=False)
        app.router.add_post("/relays", self._create_relay)
        app.router.add_get(relay, self._show_relay, allow_head=False)
        app.router.add_delete(relay, self._delete_relay)
        app.router.add_get(impairments, self._list_impairments, allow_head=False)
        app.router.add_post(impairments, self._create_impairment)
        app.router.add_get(impairments + "/{impairment}", self._show_impairment, allow_head=False)
        app.router.add_patch(impairments + "/{impairment}", self._update_impairment)
        app.router.add_delete(impairments + "/{impairment}", self._delete_impairment)
        app.router.add_post(relay + "/rebind", self._rebind)
        app.router.add_get(relay + "/draws", self._draws, allow_head=False)
        app.router.add_get(relay + "/stats", self._stats, allow_head=False)
        app.router.add_get("/version", self._version, allow_head=False)
        return app

    # --- relays ---------------------------------------------------------------------------------------------

    async def _list_relays(self, _: web.Request) -> web.Response:
        return answer({relay.name: relay.as_json() for relay in self._relays.all()})

    async def _create_relay(self, request: web.Request) -> web.Response:
        fields = read_object(await request.read(), "Relay")
        name, upstream = _needed(fields, "name"), _needed(fields, "upstream")
        via = cast(Via, _one_of(fields, "via", VIA))
        if name in self._relays:
            raise ApiError(409, "relay already exists")
        return answer((await self._relays.open(name, upstream, via=via)).as_json(), status=201)

    async def _show_relay(self, request: web.Request) -> web.Response:
        return answer(self._relay(request).as_json())

    async def _delete_relay(self, request: web.Request) -> web.Response:
        await self._relays.delete(self._relay(request).name)
        return empty()

    async def _rebind(self, request: web.Request) -> web.Response:
        relay = self._relay(request)
        body = await request.read()
        fields = read_object(body, "Rebind") if body.strip() else Fields({}, "Rebind")
        return answer({"sockets": relay.link.rebind(cast(Side, _one_of(fields, "side", SIDES)))})

    # --- impairments ----------------------------------------------------------------------------------------

    async def _list_impairments(self, request: web.Request) -> web.Response:
        return answer([found.as_json() for found in self._link(request).in_force()])

    async def _create_impairment(self, request: web.Request) -> web.Response:
        fields = read_object(await request.read(), "Impairment")
        link = self._link(request)
        kind = _needed(fields, "type")
        if kind not in IMPAIRMENTS:
            raise ApiError(400, f"invalid impairment type, it is one of {', '.join(IMPAIRMENTS)}")
        stream = cast(Stream, _one_of(fields, "stream", STREAMS))
        name = fields.text("name") or f"{kind}_{stream}"
        if link.impairment(name) is not None:
            raise ApiError(409, "impairment already exists")
        link.impair(name, stream, IMPAIRMENTS[kind].of(_attributes(fields)))
        return answer(_found(link, name).as_json())

    async def _show_impairment(self, request: web.Request) -> web.Response:
        return answer(self._impairment(request).as_json())

    async def _update_impairment(self, request: web.Request) -> web.Response:
        fields = read_object(await request.read(), "Impairment")
        name = self._impairment(request).name
        self._link(request).change(name, _attributes(fields))
        return answer(self._impairment(request).as_json())

    async def _delete_impairment(self, request: web.Request) -> web.Response:
        self._link(request).relieve(self._impairment(request).name)
        return empty()

    # --- what was seen --------------------------------------------------------------------------------------

    async def _draws(self, request: web.Request) -> web.Response:
        """Show the latest records, oldest first; `?last=` says how many."""
        records = self._link(request).log.records
        last = request.query.get("last", str(SHOWN_DRAWS))
        if not (last.isascii() and last.isdigit()):
            raise ApiError(400, "last must be a whole number")
        shown = list(records)[max(0, len(records) - int(last)) :]
        return answer([record.as_json() for record in shown])

    async def _stats(self, request: web.Request) -> web.Response:
        return answer(self._relay(request).stats_as_json())

    async def _version(self, _: web.Request) -> web.Response:
        return answer({"version": RELAY_VERSION, "seed": self._relays.seed})

    # --- finding things -------------------------------------------------------------------------------------

    def _relay(self, request: web.Request) -> Relay:
        name = request.match_info["relay"]
        if name not in self._relays:
            raise ApiError(404, "relay not found")
        return self._relays[name]

    def _link(self, request: web.Request) -> RelayLink:
        return self._relay(request).link

    def _impairment(self, request: web.Request) -> InForce:
        return _found(self._link(request), request.match_info["impairment"])


def _found(link: RelayLink, name: str) -> InForce:
    found = link.impairment(name)
    if found is None:
        raise ApiError(404, "impairment not found")
    return found


def _needed(fields: Fields, name: str) -> str:
    value = fields.text(name)
    if not value:
        raise ApiError(400, f"missing required field: {name}")
    return value


def _one_of(fields: Fields, name: str, allowed: tuple[str, ...]) -> str:
    """Return a field that is one of a few words; the first of them by default."""
    value = fields.text(name) or allowed[0]
    if value not in allowed:
        raise ApiError(400, f"{name} is one of {', '.join(allowed)}, and not {value!r}")
    return value


def _attributes(fields: Fields) -> Mapping[str, Any]:
    return fields.mapping("attributes")


@web.middleware
async def _refusals(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer settings that make no sense with 400."""
    try:
        return await handler(request)
    except ConfigurationError as error:
        raise ApiError(400, str(error)) from error
