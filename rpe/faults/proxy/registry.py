"""All proxies of one server, by name: create, change, delete, populate, reset."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from rpe.faults.proxy.addresses import AddressError, resolve
from rpe.faults.proxy.failures import ApiError
from rpe.faults.proxy.gojson import Fields
from rpe.faults.proxy.proxy import Proxy
from rpe.faults.proxy.stats import ProxyStats

__all__ = ["PopulateError", "Registry"]


class PopulateError(ApiError):
    """A populate stopped at an item; `done` are the proxies handled before it."""

    def __init__(self, status: int, message: str, done: Sequence[Proxy] = ()) -> None:
        super().__init__(status, message)
        self.done = tuple(done)


class Registry:
    """The proxies, and the rules of changing them. What changes a listener goes one at a time.

    Reading, and changing toxics, never waits: nothing that a peer does can make a call hang.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._proxies: dict[str, Proxy] = {}
        self._stats: dict[str, ProxyStats] = {}
        self._changing = asyncio.Lock()

    def all(self) -> list[Proxy]:
        """Return all proxies, by name."""
        return [self._proxies[name] for name in sorted(self._proxies)]

    def get(self, name: str) -> Proxy:
        """Return a proxy, or raise ApiError 404."""
        if (proxy := self._proxies.get(name)) is None:
            raise ApiError(404, "proxy not found")
        return proxy

    async def create(self, fields: Fields) -> Proxy:
        """Make a proxy from a request, and start it unless told otherwise. On failure nothing is kept."""
        async with self._changing:
            wanted = self._read(fields)
            if wanted.name in self._proxies:
                raise ApiError(409, "proxy already exists")
            if _wants_enabled(fields):
                await _start(wanted)
            self._keep(wanted)
            return wanted

    async def update(self, name: str, fields: Fields) -> Proxy:
        """Change listen address, upstream or state; what is absent or the same stays as it is.

        A new address or upstream drops all connections. If the proxy then cannot listen, it
        is left disabled with the new values, and ApiError 500 is raised.
        """
        async with self._changing:
            proxy = self.get(name)
            listen, upstream, enabled = fields.text("listen"), fields.text("upstream"), fields.flag("enabled")
            listen = proxy.listen if listen is None else listen
            upstream = proxy.upstream if upstream is None else upstream
            enabled = proxy.enabled if enabled is None else enabled
            if not await _same(proxy, listen, upstream):
                await proxy.stop()
                proxy.listen, proxy.upstream = listen, upstream
            if enabled and not proxy.enabled:
                await _start(proxy)
            elif proxy.enabled and not enabled:
                await proxy.stop()
            return proxy

    async def delete(self, name: str) -> None:
        """Stop a proxy and forget it, its counters included."""
        async with self._changing:
            proxy = self.get(name)
            del self._proxies[name]
            del self._stats[name]
            await proxy.stop()

    async def populate(self, items: Sequence[Fields]) -> list[Proxy]:
        """Create the proxies that are missing and replace those that differ; leave all others alone.

        A proxy with the same address and upstream is left as it is, toxics and state included.
        All items are checked before the first is handled. Raises PopulateError at the first
        that fails; those before it stay.
        """
        for position, item in enumerate(items, start=1):
            try:
                self._read(item)
            except ApiError as error:
                where = f" at proxy {position}" if error.message.startswith("missing") else ""
                raise PopulateError(400, error.message + where) from error
        done: list[Proxy] = []
        async with self._changing:
            for item in items:
                try:
                    done.append(await self._populate_one(item))
                except ApiError as error:
                    raise PopulateError(error.status, error.message, done) from error
        return done

    async def reset(self) -> None:
        """Start every proxy and remove every toxic. One that fails does not keep the others from it."""
        failures = []
        async with self._changing:
            for proxy in self.all():
                proxy.remove_all_toxics()
                if not proxy.enabled:
                    try:
                        await _start(proxy)
                    except ApiError as error:
                        failures.append(error.message)
        if failures:
            raise ApiError(500, "; ".join(failures))

    async def stop(self) -> None:
        """Stop and forget every proxy; returns when every connection is closed."""
        async with self._changing:
            await asyncio.gather(*(proxy.stop() for proxy in self._proxies.values()))
            self._proxies.clear()
            self._stats.clear()

    async def _populate_one(self, item: Fields) -> Proxy:
        wanted = self._read(item)
        known = self._proxies.get(wanted.name)
        if known is not None:
            if await _same(known, wanted.listen, wanted.upstream):
                return known
            await known.stop()
        if _wants_enabled(item):
            await _start(wanted)
        self._keep(wanted)
        return wanted

    def _read(self, fields: Fields) -> Proxy:
        """Return a new, stopped proxy; the order of the checks is Toxiproxy's."""
        name, listen, upstream = fields.text("name"), fields.text("listen"), fields.text("upstream")
        fields.flag("enabled")
        if not name:
            raise ApiError(400, "missing required field: name")
        if not upstream:
            raise ApiError(400, "missing required field: upstream")
        stats = self._stats.get(name) or ProxyStats()
        return Proxy(name, listen or "", upstream, seed=self.seed, stats=stats)

    def _keep(self, proxy: Proxy) -> None:
        self._proxies[proxy.name] = proxy
        self._stats[proxy.name] = proxy.stats


def _wants_enabled(fields: Fields) -> bool:
    return fields.flag("enabled") is not False


async def _start(proxy: Proxy) -> None:
    try:
        await proxy.start()
    except AddressError as error:
        text = str(error)
        raise ApiError(500, text if text.startswith("listen tcp") else f"listen tcp: {text}") from error


async def _same(proxy: Proxy, listen: str, upstream: str) -> bool:
    """Say whether the proxy has this address and upstream already; ApiError if the address means none."""
    if listen == proxy.listen:
        return upstream == proxy.upstream
    try:
        wanted = await resolve(listen)
    except AddressError as error:
        raise ApiError(500, str(error)) from error
    return str(wanted) == proxy.listen and upstream == proxy.upstream
