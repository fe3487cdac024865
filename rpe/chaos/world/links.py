"""The links to the servers: one proxy each, on an embedded proxy server or on a Toxiproxy elsewhere.

The proxies of a run have names of their own, so that runs can share one proxy server, and
are deleted when the links are closed.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable
from dataclasses import dataclass, field

from rpe.chaos.shielding import bring_to_end
from rpe.clock import Clock
from rpe.errors import ErrorKind, RpeError
from rpe.faults.actions import SetToxic
from rpe.faults.driver import ProxyControlError, ProxyState, ProxyStats, ToxiproxyDriver

__all__ = ["Link", "LinkFault", "Links", "new_prefix", "sweep"]

PROBE_TIMEOUT_S = 1.0


class LinkFault(RpeError):
    """A link is not in the state that was asked for."""

    code = "link_fault"
    kind = ErrorKind.NETWORK
    default_hint = "does somebody else use the same proxy server, or has it been restarted?"


@dataclass(slots=True)
class Link:
    """The proxy before one server."""

    server: str
    proxy: str
    endpoint: str
    cuts: set[str] = field(default_factory=set)
    """The names of all that keep the link cut now."""


class Links:
    """The links of one run, by server.

    Arguments:
        driver: speaks to the proxy server; closing the links does not close it.
        clock: for the time that a probe of a cut link may take.
        prefix: how the names of the proxies begin; drawn by default.
    """

    def __init__(self, driver: ToxiproxyDriver, clock: Clock, prefix: str = "") -> None:
        self._driver = driver
        self._clock = clock
        self._prefix = prefix or new_prefix()
        self._links: dict[str, Link] = {}

    def __getitem__(self, server: str) -> Link:
        return self._links[server]

    async def open(self, server: str, upstream: str) -> str:
        """Put a proxy before a server and return the address that the client is to use."""
        name = f"{self._prefix}-{server}"
        # Noted first: where the answer is lost, there is a proxy to delete all the same.
        link = self._links[server] = Link(server, name, "")
        # To its end, also where this is cancelled: a proxy server that gets the wish late would make
        # the proxy after it was to be deleted.
        state = await bring_to_end(self._driver.create_proxy(name, upstream=upstream))
        link.endpoint = f"{state.host}:{state.port}"
        return link.endpoint

    async def close(self) -> None:
        """Delete every proxy of the run. Raises the first error after all have been tried."""
        problems: list[RpeError] = []
        for server, link in tuple(self._links.items()):
            try:
                await _unless_missing(self._driver.delete_proxy(link.proxy))
                del self._links[server]
            except RpeError as error:
                problems.append(error)
        if problems:
            raise problems[0]

    async def add_toxic(self, name: str, action: SetToxic) -> None:
        """Add a toxic and read it back. Raises LinkFault where it is not there as it was asked for."""
        link = self._links[action.server]
        await self._driver.add_toxic(
            link.proxy,
            action.kind,
            name=name,
            stream=action.stream,
            toxicity=action.toxicity,
            attributes=action.attributes,
        )
        toxic = (await self._state(link)).toxic(name)
        if (
            toxic is None
            or (toxic.kind, toxic.stream, toxic.toxicity) != (action.kind, action.stream, action.toxicity)
            or any(toxic.attributes.get(key) != value for key, value in action.attributes.items())
        ):
            raise LinkFault(
                f"the {action.kind} toxic is not in force as asked: {toxic}", endpoint=link.endpoint
            )

    async def remove_toxic(self, name: str, server: str) -> None:
        """Remove a toxic and read back that it is gone; harmless where it is gone already."""
        link = self._links[server]
        await _unless_missing(self._driver.remove_toxic(link.proxy, name))
        if (await self._state(link)).toxic(name) is not None:
            raise LinkFault(f"the toxic {name} is still in force", endpoint=link.endpoint)

    async def cut(self, name: str, server: str) -> None:
        """Take the listener of a link away, and see that a connection is refused now."""
        link = self._links[server]
        link.cuts.add(name)
        await self._driver.update_proxy(link.proxy, enabled=False)
        if (await self._state(link)).enabled or not await self._refused(link):
            raise LinkFault("the link still takes connections although it was cut", endpoint=link.endpoint)

    async def mend(self, name: str, server: str) -> None:
        """Take back one cut; the link listens again, on its old address, once no cut is left."""
        link = self._links[server]
        link.cuts.discard(name)
        if link.cuts:
            return
        await self._driver.update_proxy(link.proxy, enabled=True)
        state = await self._state(link)
        if not state.enabled or f"{state.host}:{state.port}" != link.endpoint:
            raise LinkFault("the link does not listen again on its old address", endpoint=link.endpoint)

    async def stats(self, server: str) -> ProxyStats | None:
        """Return the counters of a link; None where the proxy server is a real Toxiproxy, which has none."""
        stats = await self._driver.stats()
        return None if stats is None else stats.get(self._links[server].proxy)

    async def _state(self, link: Link) -> ProxyState:
        return await self._driver.get_proxy(link.proxy)

    async def _refused(self, link: Link) -> bool:
        host, _, port = link.endpoint.rpartition(":")
        try:
            async with self._clock.deadline(self._clock.now() + PROBE_TIMEOUT_S):
                _, writer = await asyncio.open_connection(host, int(port))
        except ConnectionRefusedError:
            return True
        except (OSError, TimeoutError):
            return False
        writer.close()
        return False


def new_prefix() -> str:
    """Return a beginning for the names of one run's proxies that no other run has."""
    return f"rpe-{secrets.token_hex(4)}"


async def sweep(driver: ToxiproxyDriver, prefix: str) -> None:
    """Delete every proxy whose name begins so: what a run that died could not take back itself."""
    for name in await driver.proxies():
        if name.startswith(f"{prefix}-"):
            await _unless_missing(driver.delete_proxy(name))


async def _unless_missing(call: Awaitable[None]) -> None:
    try:
        await call
    except ProxyControlError as error:
        if error.status != 404:
            raise
