"""Listen addresses: read, resolved, bound. The messages are Go's, because clients compare them."""

from __future__ import annotations

import asyncio
import errno
import socket
from dataclasses import dataclass

__all__ = ["Address", "AddressError", "bind", "bound_address", "resolve", "split_host_port"]

RESOLVE_TIMEOUT_S = 5.0
BACKLOG = 1024
_ALL_INTERFACES = ("", "0.0.0.0", "::")
_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


class AddressError(ValueError):
    """An address cannot be read, resolved or bound."""


@dataclass(frozen=True, slots=True)
class Address:
    """An IP address and a port; an empty host is all interfaces, of both IP versions."""

    host: str
    port: int

    def __str__(self) -> str:
        host = self.host or "::"
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def split_host_port(text: str) -> tuple[str, int]:
    """Return host and port of "host:port", "[v6]:port" or ":port"; the port may be a service name."""
    host, colon, port = text.rpartition(":")
    if text.startswith("["):
        host, bracket, port = text[1:].partition("]")
        if not bracket:
            raise AddressError(f"address {text}: missing ']' in address")
        colon, port = port[:1], port[1:]
    elif ":" in host:
        raise AddressError(f"address {text}: too many colons in address")
    if colon != ":":
        raise AddressError(f"address {text}: missing port in address")
    return host, _port(port)


async def resolve(text: str) -> Address:
    """Return the address that a listen text means; host names are looked up, IPv4 first.

    No text means all interfaces and any port.

    Raises AddressError for a text that means none, also when the look-up takes too long.
    """
    host, port = split_host_port(text or ":0")
    if host in _ALL_INTERFACES:
        return Address("", port)
    try:
        async with asyncio.timeout(RESOLVE_TIMEOUT_S):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise AddressError(f"lookup {host}: no such host") from error
    by_version = sorted(found, key=lambda info: info[0] != socket.AF_INET)
    return Address(str(by_version[0][4][0]), port)


def bind(address: Address) -> socket.socket:
    """Return a non-blocking socket that listens at `address`; raises AddressError if it cannot."""
    try:
        if address.host:
            version = socket.AF_INET6 if ":" in address.host else socket.AF_INET
            return _listening_socket(version, address.host, address.port)
        try:
            return _listening_socket(socket.AF_INET6, "::", address.port)
        except OSError as error:
            if error.errno not in _NO_IPV6:
                raise
            return _listening_socket(socket.AF_INET, "0.0.0.0", address.port)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise AddressError(f"listen tcp {address}: bind: {reason}") from error


def bound_address(sock: socket.socket) -> Address:
    """Return where a listening socket listens."""
    host, port = sock.getsockname()[:2]
    return Address("" if host == "::" else host, port)


def _listening_socket(version: socket.AddressFamily, host: str, port: int) -> socket.socket:
    sock = socket.socket(version, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if host == "::":
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _port(text: str) -> int:
    if text.isascii() and text.isdigit():
        number = int(text[:6])
        if number > 65535:
            raise AddressError(f"address {text}: invalid port")
        return number
    try:
        return socket.getservbyname(text, "tcp") if text else 0
    except (OSError, ValueError) as error:
        raise AddressError(f"lookup tcp/{text}: unknown port") from error
