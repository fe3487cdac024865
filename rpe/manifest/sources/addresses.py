"""Which addresses may be talked to on behalf of a manifest.

A manifest names the URLs that this process fetches, and this process may stand where its
author does not: beside the cloud's metadata service, behind the firewall, on the machine
itself. So only public addresses are talked to unless a network is allowed by name
(server-side request forgery, CWE-918).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

__all__ = ["AddressRefused", "AddressRules"]

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_METADATA = (
    # Most clouds answer at link-local addresses, which are refused anyway. These two look public,
    # the second one to older tables of Python only.
    ipaddress.ip_network("168.63.129.16/32"),
    ipaddress.ip_network("192.0.0.0/24"),
)


class AddressRefused(Exception):
    """An address, or what a name stands for, is not to be talked to; the text says which and why."""


class AddressRules:
    """Decides on addresses; `allowed_networks` are exceptions from what is refused."""

    def __init__(self, allowed_networks: Iterable[str] = ()) -> None:
        self._allowed = tuple(ipaddress.ip_network(network) for network in allowed_networks)

    def check(self, address: str) -> None:
        """Raises AddressRefused, also for what is no address."""
        try:
            ip = _meant(ipaddress.ip_address(address))
        except ValueError as error:
            raise AddressRefused(f"{address!r} is no address") from error
        reason = _not_public(ip)
        if reason and not any(ip in network for network in self._allowed):
            raise AddressRefused(f"{address} is {reason}")


def _meant(ip: _Address) -> _Address:
    """The IPv4 address that an IPv6 address only wraps: mapped, 6to4 (RFC 3056), Teredo, NAT64 (RFC 6052)."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None) or ip


def _not_public(ip: _Address) -> str | None:
    if any(ip in network for network in _METADATA):
        return "an address of a cloud's metadata service"
    for name in ("loopback", "link_local", "site_local", "multicast", "unspecified", "private", "reserved"):
        if getattr(ip, f"is_{name}", False):
            return f"{'an' if name[0] in 'aeiou' else 'a'} {name.replace('_', '-')} address"
    return None if ip.is_global else "not a public address"
