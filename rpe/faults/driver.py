"""An async client of Toxiproxy's HTTP API, for the embedded proxy and a real server alike.

All state it returns is what the server answered. Names may be any text. Proxies named in
the environment are not used: the server is next door.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType, TracebackType
from typing import Any, Self
from urllib.parse import quote

import aiohttp
from yarl import URL

from rpe.faults.actions import Stream
from rpe.faults.driver_state import ProxyControlError, ProxyState, ProxyStats, ProxyUnreachable, ToxicState

__all__ = [
    "ProxyControlError",
    "ProxyState",
    "ProxyStats",
    "ProxyUnreachable",
    "ToxicState",
    "ToxiproxyDriver",
]

_NO_ATTRIBUTES: Mapping[str, int] = MappingProxyType({})


class ToxiproxyDriver:
    """Speaks to the server at `url`; every call ends within `timeout_s` seconds.

    Every answer other than success raises ProxyControlError, with the server's status and
    message; a server that cannot be reached, or does not answer in time, ProxyUnreachable.
    A call that is cancelled may have taken effect.
    """

    def __init__(self, url: str, *, timeout_s: float = 5.0) -> None:
        self.url = url.rstrip("/")
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections to the server; a later call opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def __repr__(self) -> str:
        return f"ToxiproxyDriver({self.url!r})"

    # --- the server -----------------------------------------------------------------------------------------

    async def version(self) -> str:
        """Return the version of Toxiproxy that the server is, or is compatible with."""
        return str((await self._call("GET", "version"))["version"])

    async def populate(self, proxies: Iterable[Mapping[str, Any]]) -> tuple[ProxyState, ...]:
        """Create the proxies that are missing and replace those that differ; return them all.

        Each item has `name`, `upstream`, and may have `listen` and `enabled`. When one fails,
        those before it stay.
        """
        answer = await self._call("POST", "populate", body=[dict(proxy) for proxy in proxies])
        return tuple(ProxyState.from_json(proxy) for proxy in answer["proxies"] or ())

    async def reset(self) -> None:
        """Start every proxy and remove every toxic."""
        await self._call("POST", "reset")

    async def stats(self) -> Mapping[str, ProxyStats] | None:
        """Return what went on at each proxy, by name; None if the server is a real Toxiproxy."""
        try:
            answer = await self._call("GET", "rpe", "stats")
        except ProxyControlError as error:
            if error.status == 404:
                return None
            raise
        return MappingProxyType({name: ProxyStats.from_json(stats) for name, stats in answer.items()})

    # --- proxies --------------------------------------------------------------------------------------------

    async def proxies(self) -> dict[str, ProxyState]:
        """Return every proxy, by name."""
        answer = await self._call("GET", "proxies")
        return {name: ProxyState.from_json(proxy) for name, proxy in answer.items()}

    async def create_proxy(
        self, name: str, *, upstream: str, listen: str = "127.0.0.1:0", enabled: bool = True
    ) -> ProxyState:
        """Create a proxy; with port 0, the answer says which port it got."""
        body = {"name": name, "listen": listen, "upstream": upstream, "enabled": enabled}
        return ProxyState.from_json(await self._call("POST", "proxies", body=body))

    async def get_proxy(self, name: str) -> ProxyState:
        """Return one proxy."""
        return ProxyState.from_json(await self._call("GET", "proxies", name))

    async def update_proxy(
        self,
        name: str,
        *,
        listen: str | None = None,
        upstream: str | None = None,
        enabled: bool | None = None,
    ) -> ProxyState:
        """Change what is given. Disabling, and another address or upstream, drop all connections."""
        changes = {"listen": listen, "upstream": upstream, "enabled": enabled}
        body = {field: value for field, value in changes.items() if value is not None}
        return ProxyState.from_json(await self._call("PATCH", "proxies", name, body=body))

    async def delete_proxy(self, name: str) -> None:
        """Delete a proxy; its connections are dropped."""
        await self._call("DELETE", "proxies", name)

    # --- toxics ---------------------------------------------------------------------------------------------

    async def add_toxic(
        self,
        proxy: str,
        kind: str,
        *,
        name: str | None = None,
        stream: Stream = "downstream",
        toxicity: float = 1.0,
        attributes: Mapping[str, int] = _NO_ATTRIBUTES,
    ) -> ToxicState:
        """Add a toxic; it acts on live connections when this returns.

        Without a `name` it is called after its kind and stream, as in latency_downstream.
        """
        body: dict[str, Any] = {"type": kind, "stream": stream, "toxicity": toxicity}
        body["attributes"] = dict(attributes)
        if name is not None:
            body["name"] = name
        return ToxicState.from_json(await self._call("POST", "proxies", proxy, "toxics", body=body))

    async def get_toxic(self, proxy: str, name: str) -> ToxicState:
        """Return one toxic."""
        return ToxicState.from_json(await self._call("GET", "proxies", proxy, "toxics", name))

    async def update_toxic(
        self,
        proxy: str,
        name: str,
        *,
        toxicity: float | None = None,
        attributes: Mapping[str, int] = _NO_ATTRIBUTES,
    ) -> ToxicState:
        """Change the toxicity and the attributes that are given; the others stay."""
        body: dict[str, Any] = {"attributes": dict(attributes)}
        if toxicity is not None:
            body["toxicity"] = toxicity
        return ToxicState.from_json(await self._call("PATCH", "proxies", proxy, "toxics", name, body=body))

    async def remove_toxic(self, proxy: str, name: str) -> None:
        """Remove a toxic; live connections are rid of it when this returns."""
        await self._call("DELETE", "proxies", proxy, "toxics", name)

    # --- one call -------------------------------------------------------------------------------------------

    async def _call(self, method: str, *path: str, body: object = None) -> Any:
        """Return the JSON of a successful answer (None if it has none)."""
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=self._timeout_s)
            self._session = aiohttp.ClientSession(timeout=timeout, trust_env=False)
        url = URL("/".join([self.url, *map(_encoded, path)]), encoded=True)
        try:
            async with self._session.request(method, url, json=body) as response:
                text = await response.text()
                status = response.status
        except TimeoutError as error:
            raise ProxyUnreachable(
                f"the proxy server did not answer {method} {url.path} within {self._timeout_s:g} s",
                endpoint=self.url,
                maybe_executed=True,
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            reason = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
            raise ProxyUnreachable(
                f"the proxy server cannot be reached: {reason}",
                endpoint=self.url,
                maybe_executed=not isinstance(error, aiohttp.ClientConnectorError),
            ) from error
        if not 200 <= status < 300:
            raise ProxyControlError(
                f"the proxy server refused {method} {url.path} with {status}: {_message(text)}",
                endpoint=self.url,
                status=status,
                server_message=_message(text),
            )
        return _parsed(text, self.url) if text.strip() else None


def _encoded(segment: str) -> str:
    # A segment of dots alone is plain text to `quote`, but means "up" in a URL.
    return quote(segment, safe="") if segment.strip(".") else segment.replace(".", "%2E")


def _message(text: str) -> str:
    """Return the error text of an answer: its `error` (or, from old servers, `title`), else all of it."""
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if isinstance(answer, dict):
        return str(answer.get("error") or answer.get("title") or text.strip())
    return text.strip()


def _parsed(text: str, url: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ProxyControlError(
            "the answer is not JSON: this is no Toxiproxy API", endpoint=url, server_message=text[:200]
        ) from error
