"""What the address of an endpoint tells by itself, without asking anybody."""

from __future__ import annotations

import ipaddress

__all__ = ["is_loopback"]


def is_loopback(endpoint: str) -> bool:
    """Say whether an address is this machine's own: `host:port`, a URL, or a Unix socket (`unix:...`)."""
    if endpoint.startswith("unix:"):
        return True
    authority = endpoint.removeprefix("dns:///")
    if "://" in authority:
        authority = authority.partition("://")[2].partition("/")[0].rpartition("@")[2]
    host, colon, _ = authority.rpartition(":")
    if not colon or authority.endswith("]"):
        host = authority
    host = host.strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
