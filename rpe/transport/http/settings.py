"""What an HTTP client can be told, and the address that it talks to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import urlsplit

from rpe.errors import ConfigurationError
from rpe.transport.addresses import is_loopback
from rpe.transport.credentials import TokenSource, as_token_source
from rpe.transport.ports import TlsSettings

__all__ = ["HttpSettings"]

_POSITIVE = ("connect_timeout_s", "max_message_bytes", "max_connections", "silence_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """Settings of one HTTP client.

    Arguments:
        token: bearer token, sent in the `Authorization` header, or the source of one. A session
            sends the one that it was opened with as long as it lasts.
        allow_clear_token: let the token travel without TLS to an address that is not loopback.
        tls: certificates; None is clear text, or the system's trust where the endpoint is an https URL.
        max_message_bytes: the largest body sent or received, and the largest event of a session.
        connect_timeout_s: how long one connection attempt may take, the TLS handshake included.
        max_connections: how many requests may be on their way at once; more wait for their turn.
            The outputs of open sessions are not counted.
        keepalive_s: how long a connection may be idle and still be used again; 0 for never. Far
            shorter than the usual limits of servers (5 s and more), and shortened further by
            what a server says in its own `Keep-Alive` header: a request on a connection that
            the server is just closing fails, and nobody can say whether it was read.
        silence_s: how long the output of a session may be silent, keep-alive comments
            counted, before its connection counts as broken.
        reconnects: how often one session may take up its output again after the connection
            broke; 0 for never. It needs a server that numbers its events.
        headers: further headers of every request.
    """

    token: str | TokenSource | None = field(default=None, repr=False)
    allow_clear_token: bool = False
    tls: TlsSettings | None = None
    max_message_bytes: int = 16 * 1024 * 1024
    connect_timeout_s: float = 2.0
    max_connections: int = 100
    keepalive_s: float = 3.0
    silence_s: float = 20.0
    reconnects: int = 3
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        as_token_source(self.token)
        for name in _POSITIVE:
            if not getattr(self, name) > 0:
                raise ConfigurationError(f"{name} is {getattr(self, name)}, but must be above 0")
        for name in ("keepalive_s", "reconnects"):
            if not getattr(self, name) >= 0:
                raise ConfigurationError(f"{name} is {getattr(self, name)}, but must not be negative")
        for name, value in self.headers.items():
            if any(sign in name + value for sign in "\r\n\0") or not name:
                raise ConfigurationError(f"headers: {name!r} cannot be sent as a header")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> HttpSettings:
        """Read settings from a plain mapping. Raises ConfigurationError naming every unknown key."""
        known = {item.name for item in fields(cls)}
        if unknown := sorted(set(config) - known):
            raise ConfigurationError(
                f"the http transport has no setting {', '.join(unknown)}",
                hint=f"it has: {', '.join(sorted(known))}",
            )
        return cls(**config)

    def base_url(self, endpoint: str) -> str:
        """Return the URL, without a closing slash, that the paths of the wire are joined to.

        Raises ConfigurationError where the endpoint is neither `host:port` nor an http(s)
        URL, or its scheme contradicts `tls`.
        """
        url = endpoint if "://" in endpoint else f"{'http' if self.tls is None else 'https'}://{endpoint}"
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable or parts.query or parts.fragment or parts.username is not None:
            raise ConfigurationError(
                "the endpoint is not an address of an HTTP server",
                endpoint=endpoint.rpartition("@")[2],
                hint="give host:port, or http(s)://host:port/path",
            )
        if parts.scheme == "http" and self.tls is not None:
            raise ConfigurationError(
                "tls is set, but the endpoint asks for clear text",
                endpoint=endpoint,
                hint="write https://, or leave tls out",
            )
        return url.rstrip("/")

    def check_token(self, endpoint: str) -> None:
        """Refuse to send the token in clear text beyond this machine. Raises ConfigurationError."""
        if self.token is None or self.allow_clear_token or is_loopback(endpoint):
            return
        if self.base_url(endpoint).startswith("https:"):
            return
        raise ConfigurationError(
            "a token would travel in clear text",
            endpoint=endpoint,
            hint="set tls, or allow_clear_token where the network itself is trusted",
        )
