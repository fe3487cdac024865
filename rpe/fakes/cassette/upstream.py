"""The address of a real server, as a URL."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from rpe.errors import ConfigurationError
from rpe.transport.listening import bracketed

__all__ = ["Upstream", "parse_upstream"]

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where a recorded server is. `roots` are the PEM certificates to trust; None for the usual ones."""

    wire: Literal["grpc", "http"]
    host: str
    port: int
    secure: bool
    roots: bytes | None = None

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{bracketed(self.host)}:{self.port}"

    @property
    def origin(self) -> str:
        """The URL without a path."""
        scheme = {"grpc": "grpc", "http": "http"}[self.wire] + ("s" if self.secure else "")
        return f"{scheme}://{self.address}"

    def context(self) -> ssl.SSLContext | bool:
        """Return what aiohttp checks a certificate by."""
        if not self.secure or self.roots is None:
            return True
        return ssl.create_default_context(cadata=self.roots.decode())


def parse_upstream(url: str, ca: Path | None = None) -> Upstream:
    """Read `grpc://host:port`, `grpcs://`, `http://` or `https://`; `ca` is a file of roots, in PEM.

    Raises ConfigurationError where it is none of these. What a URL may hold of a secret is not told.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigurationError("the URL of the upstream cannot be read") from error
    base, secure = parts.scheme.removesuffix("s"), parts.scheme.endswith("s")
    if base not in ("grpc", "http") or not parts.hostname:
        raise ConfigurationError(
            "the upstream is not a URL that can be recorded",
            hint="it is grpc://host:port, grpcs://host:port, http://host:port or https://host:port",
        )
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError(
            "the URL of the upstream holds a user",
            hint="leave it out: what the callers send as authorization is passed on",
        )
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ConfigurationError(
            f"the URL of the upstream has a path: {parts.path}", hint="callers send the whole path themselves"
        )
    port = port or _PORTS.get(parts.scheme)
    if port is None:
        raise ConfigurationError("the URL of the upstream has no port")
    if ca is not None and not secure:
        raise ConfigurationError(f"{parts.scheme}:// has no certificate to check", hint="leave the roots out")
    try:
        roots = ca.read_bytes() if ca is not None else None
    except OSError as error:
        raise ConfigurationError(f"{ca} cannot be read: {error.strerror}") from error
    return Upstream("grpc" if base == "grpc" else "http", parts.hostname, port, secure, roots)
