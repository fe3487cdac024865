"""The HTTP API: Toxiproxy's endpoints, and `/rpe/stats`, which Toxiproxy lacks."""

from __future__ import annotations

import socket

from aiohttp import web

from rpe.faults.proxy import metrics
from rpe.faults.proxy.gojson import read_array, read_object
from rpe.faults.proxy.http_rules import answer, empty, rules
from rpe.faults.proxy.proxy import Proxy
from rpe.faults.proxy.registry import PopulateError, Registry
from rpe.faults.proxy.toxic import Toxic, new_toxic, updated
from rpe.faults.proxy.toxics import KINDS

__all__ = ["TOXIPROXY_VERSION", "Api"]

TOXIPROXY_VERSION = "2.12.0"
"""The version whose API this is; clients choose their ways by it."""

MAX_BODY_BYTES = 64 * 1024 * 1024
SHUTDOWN_S = 1.0


class Api:
    """Serves a registry over HTTP on a listening socket, which it owns from `start` on."""

    def __init__(self, registry: Registry, *, with_metrics: bool = False) -> None:
        self._registry = registry
        self._with_metrics = with_metrics
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
        app = web.Application(middlewares=[rules], client_max_size=MAX_BODY_BYTES)
        app.router.add_get("/proxies", self._list_proxies, allow_head=False)
        app.router.add_post("/proxies", self._create_proxy)
        app.router.add_get("/proxies/{proxy}", self._show_proxy, allow_head=False)
        app.router.add_delete("/proxies/{proxy}", self._delete_proxy)
        app.router.add_get("/proxies/{proxy}/toxics", self._list_toxics, allow_head=False)
        app.router.add_post("/proxies/{proxy}/toxics", self._create_toxic)
        app.router.add_get("/proxies/{proxy}/toxics/{toxic}", self._show_toxic, allow_head=False)
        app.router.add_delete("/proxies/{proxy}/toxics/{toxic}", self._delete_toxic)
        for method in ("PATCH", "POST"):
            app.router.add_route(method, "/proxies/{proxy}", self._update_proxy)
            app.router.add_route(method, "/proxies/{proxy}/toxics/{toxic}", self._update_toxic)
        app.router.add_post("/populate", self._populate)
        app.router.add_post("/reset", self._reset)
        app.router.add_get("/version", self._version, allow_head=False)
        app.router.add_get("/rpe/stats", self._stats, allow_head=False)
        if self._with_metrics:
            app.router.add_route("*", "/metrics", self._metrics)
        return app

    # --- proxies --------------------------------------------------------------------------------------------

    async def _list_proxies(self, _: web.Request) -> web.Response:
        return answer({proxy.name: proxy.as_json() for proxy in self._registry.all()})

    async def _create_proxy(self, request: web.Request) -> web.Response:
        fields = read_object(await request.read(), "Proxy")
        proxy = await self._registry.create(fields)
        return answer(proxy.as_json(), status=201)

    async def _show_proxy(self, request: web.Request) -> web.Response:
        return answer(self._proxy(request).as_json())

    async def _update_proxy(self, request: web.Request) -> web.Response:
        name = self._proxy(request).name
        fields = read_object(await request.read(), "Proxy")
        proxy = await self._registry.update(name, fields)
        return answer(proxy.as_json())

    async def _delete_proxy(self, request: web.Request) -> web.Response:
        await self._registry.delete(self._proxy(request).name)
        return empty()

    async def _populate(self, request: web.Request) -> web.Response:
        items = read_array(await request.read(), "Proxy")
        try:
            proxies = await self._registry.populate(items)
        except PopulateError as error:
            failure = {"error": error.message, "status": error.status}
            done = [proxy.as_json() for proxy in error.done]
            return answer({**failure, "proxies": done}, status=error.status, end="\n")
        return answer({"proxies": [proxy.as_json() for proxy in proxies]}, status=201)

    async def _reset(self, _: web.Request) -> web.Response:
        await self._registry.reset()
        return empty()

    # --- toxics ---------------------------------------------------------------------------------------------

    async def _list_toxics(self, request: web.Request) -> web.Response:
        return answer(self._proxy(request).toxics_as_json())

    async def _create_toxic(self, request: web.Request) -> web.Response:
        self._proxy(request)
        fields = read_object(await request.read(), "Toxic")
        proxy = self._proxy(request)  # read again: it may have gone while the body came in
        toxic = new_toxic(fields, kinds=KINDS, taken=proxy.toxics.__contains__)
        proxy.add_toxic(toxic)
        return answer(toxic.as_json())

    async def _show_toxic(self, request: web.Request) -> web.Response:
        return answer(self._toxic(request).as_json())

    async def _update_toxic(self, request: web.Request) -> web.Response:
        self._toxic(request)
        fields = read_object(await request.read(), "Toxic")
        toxic = updated(self._toxic(request), fields)
        self._proxy(request).update_toxic(toxic)
        return answer(toxic.as_json())

    async def _delete_toxic(self, request: web.Request) -> web.Response:
        self._proxy(request).remove_toxic(request.match_info["toxic"])
        return empty()

    # --- the server -----------------------------------------------------------------------------------------

    async def _version(self, _: web.Request) -> web.Response:
        response = answer({"version": TOXIPROXY_VERSION}, end="\n")
        response.charset = "utf-8"
        return response

    async def _stats(self, _: web.Request) -> web.Response:
        return answer({proxy.name: proxy.stats_as_json() for proxy in self._registry.all()})

    async def _metrics(self, _: web.Request) -> web.Response:
        response = web.Response(text=metrics.exposition(self._registry.all()))
        response.headers["Content-Type"] = metrics.CONTENT_TYPE
        return response

    def _proxy(self, request: web.Request) -> Proxy:
        return self._registry.get(request.match_info["proxy"])

    def _toxic(self, request: web.Request) -> Toxic:
        return self._proxy(request).toxic(request.match_info["toxic"])
