"""Names become addresses here, and every address is checked at the moment it is connected to.

A check before the request is not enough: a name server may answer with a public address
when it is checked and with a private one when it is connected to (DNS rebinding). So the
check sits between the lookup and the connector, on the very answer that is used.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence

from aiohttp.abc import AbstractResolver, ResolveResult

from rpe.manifest.sources.addresses import AddressRefused, AddressRules

__all__ = ["CheckedResolver", "Lookup", "system_lookup"]

Lookup = Callable[[str], Awaitable[Sequence[str]]]
"""From a host's name to its addresses; raises OSError where it has none."""


async def system_lookup(host: str) -> list[str]:
    """Ask the system's resolver."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a label that is empty or too long
        raise OSError(None, "it is no name of a host") from error
    return [str(place[0]) for *_, place in found]


class CheckedResolver(AbstractResolver):
    """Gives a connector only addresses that the rules let pass.

    One refused address refuses the whole answer: whoever mixes a private address among public ones
    wants it to be tried.
    """

    def __init__(self, lookup: Lookup, rules: AddressRules) -> None:
        self._lookup = lookup
        self._rules = rules

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a host. Raises AddressRefused, and OSError where there are none."""
        addresses = list(dict.fromkeys(await self._lookup(host)))
        if not addresses:
            raise OSError(None, "the name has no address")
        for address in addresses:
            try:
                self._rules.check(address)
            except AddressRefused as error:
                raise AddressRefused(f"{host} stands for {error}") from error
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""
