"""All relays of one server, by name: each a link, and what leads clients to it."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from typing import Any, Literal, TextIO

from rpe.errors import ConfigurationError
from rpe.faults.proxy.addresses import AddressError, split_host_port
from rpe.faults.relay.draws import DrawLog, Replay
from rpe.faults.relay.link import RelayLink
from rpe.faults.relay.signalling import SignallingRelay
from rpe.faults.relay.standin import Address

__all__ = ["VIA", "Relay", "Relays", "Via"]

Via = Literal["signalling", "datagrams"]
"""How clients come to a relay: by signalling through it, or by sending datagrams to a fixed port of it."""

VIA: tuple[Via, ...] = ("signalling", "datagrams")

RESOLVE_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Relay:
    """A link with a name, and the address that clients use in place of `upstream`."""

    name: str
    via: Via
    upstream: str
    listen: str
    link: RelayLink
    signalling: SignallingRelay | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the relay as the API shows it."""
        return {
            "name": self.name,
            "via": self.via,
            "listen": self.listen,
            "upstream": self.upstream,
            "impairments": [found.as_json() for found in self.link.in_force()],
        }

    def stats_as_json(self) -> dict[str, Any]:
        """Return the counters of the relay."""
        signalling = self.signalling
        connections = {} if signalling is None else {"opened": signalling.opened, "open": signalling.open}
        return {**self.link.stats_as_json(), "signalling": connections}

    async def close(self) -> None:
        """End every connection and every flow."""
        try:
            if self.signalling is not None:
                await self.signalling.stop()
        finally:
            self.link.close()


class Relays:
    """The relays, by name. `close` ends them all.

    Arguments:
        seed: the root of all draws.
        replay: decisions of an earlier run to take instead of draws.
        log: where every draw is written, one JSON object a line; closing it is the caller's.
    """

    def __init__(self, *, seed: int = 0, replay: Replay | None = None, log: TextIO | None = None) -> None:
        self.seed = seed
        self._replay = replay
        self._log = log
        self._relays: dict[str, Relay] = {}
        self._changing = asyncio.Lock()

    def all(self) -> list[Relay]:
        """Return all relays, by name."""
        return [self._relays[name] for name in sorted(self._relays)]

    def __getitem__(self, name: str) -> Relay:
        return self._relays[name]

    def __contains__(self, name: str) -> bool:
        return name in self._relays

    async def open(self, name: str, upstream: str, *, via: Via = "signalling") -> Relay:
        """Open a relay before `upstream` ("host:port").

        Raises ConfigurationError, and keeps nothing, where the name is taken, the address means
        none, or no port is free.
        """
        async with self._changing:
            if name in self._relays:
                raise ConfigurationError(f"there is a relay {name!r} already", hint="choose another name")
            link = RelayLink(name, seed=self.seed, log=DrawLog(self._log), replay=self._replay)
            try:
                relay = await self._lead_to(link, upstream, via)
            except BaseException:
                link.close()
                raise
            self._relays[name] = relay
            return relay

    async def delete(self, name: str) -> None:
        """Close a relay and forget it; harmless where there is none."""
        async with self._changing:
            relay = self._relays.pop(name, None)
            if relay is not None:
                await relay.close()

    async def close(self) -> None:
        """Close and forget every relay."""
        async with self._changing:
            relays = tuple(self._relays.values())
            self._relays.clear()
            await asyncio.gather(*(relay.close() for relay in relays))

    async def _lead_to(self, link: RelayLink, upstream: str, via: Via) -> Relay:
        if via == "datagrams":
            host, port = link.forward(await _resolve(upstream))
            return Relay(link.name, via, upstream, f"{host}:{port}", link)
        _split(upstream)
        signalling = SignallingRelay(link, upstream)
        try:
            await signalling.start()
        except OSError as error:
            raise ConfigurationError(f"the relay {link.name!r} cannot listen: {error}") from error
        return Relay(link.name, via, upstream, signalling.endpoint, link, signalling)


def _split(text: str) -> tuple[str, int]:
    try:
        host, port = split_host_port(text)
    except AddressError as error:
        raise ConfigurationError(str(error), hint='an upstream is "host:port"') from error
    if not host or not port:
        raise ConfigurationError(f"the upstream {text!r} is incomplete", hint='an upstream is "host:port"')
    return host, port


async def _resolve(text: str) -> Address:
    host, port = _split(text)
    try:
        async with asyncio.timeout(RESOLVE_TIMEOUT_S):
            found = await asyncio.get_running_loop().getaddrinfo(
                host, port, family=socket.AF_INET, type=socket.SOCK_DGRAM
            )
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"the upstream {text!r} has no IPv4 address: {error}") from error
    address = found[0][4]
    return str(address[0]), int(address[1])
