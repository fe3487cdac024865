"""What a gRPC client can be told, and the channel options that follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from rpe.errors import ConfigurationError
from rpe.transport.addresses import is_loopback
from rpe.transport.credentials import TokenSource, as_token_source
from rpe.transport.ports import TlsSettings

__all__ = ["GrpcSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcSettings:
    """Settings of one gRPC client.

    Arguments:
        token: bearer token, sent as `authorization` metadata, or the source of one.
        allow_clear_token: let the token travel without TLS to an address that is not loopback.
        tls: certificates; None is a connection in clear text.
        max_message_bytes: the largest message sent or received.
        connect_timeout_s: how long one connection attempt may take, HTTP/2 settings included.
        reconnect_s: bounds of the pause between connection attempts. gRPC's own upper
            bound of two minutes would keep a server that is back unused for that long, and a
            breaker's probe that falls into such a pause fails without having been sent.
        keepalive_s: how long a connection with running calls may be silent before it is
            asked for a sign of life. Never asked while idle, so that a stock server,
            which bans clients that ping too often, has nothing to object to.
        keepalive_timeout_s: how long it may take to give that sign.
        channel_options: further gRPC channel options, by name.
    """

    token: str | TokenSource | None = field(default=None, repr=False)
    allow_clear_token: bool = False
    tls: TlsSettings | None = None
    max_message_bytes: int = 16 * 1024 * 1024
    connect_timeout_s: float = 2.0
    reconnect_s: tuple[float, float] = (0.1, 0.5)
    keepalive_s: float = 20.0
    keepalive_timeout_s: float = 5.0
    channel_options: Mapping[str, int | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        as_token_source(self.token)
        for name in ("connect_timeout_s", "keepalive_s", "keepalive_timeout_s", "max_message_bytes"):
            value = getattr(self, name)
            if not value > 0:
                raise ConfigurationError(f"{name} is {value}, but must be above 0")
        low, high = self.reconnect_s
        if not 0 < low <= high:
            raise ConfigurationError(
                f"reconnect_s is {self.reconnect_s}, but must be two rising bounds above 0"
            )

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> GrpcSettings:
        """Read settings from a plain mapping. Raises ConfigurationError naming every unknown key."""
        known = {item.name for item in fields(cls)}
        if unknown := sorted(set(config) - known):
            raise ConfigurationError(
                f"the grpc transport has no setting {', '.join(unknown)}",
                hint=f"it has: {', '.join(sorted(known))}",
            )
        return cls(**config)

    def check_token(self, endpoint: str) -> None:
        """Refuse to send the token in clear text beyond this machine. Raises ConfigurationError."""
        if self.token is None or self.tls is not None or self.allow_clear_token or is_loopback(endpoint):
            return
        raise ConfigurationError(
            "a token would travel in clear text",
            endpoint=endpoint,
            hint="set tls, or allow_clear_token where the network itself is trusted",
        )

    def options(self) -> list[tuple[str, int | str]]:
        """Return gRPC channel options."""
        shortest_s, longest_s = self.reconnect_s
        chosen: dict[str, int | str] = {
            "grpc.max_send_message_length": self.max_message_bytes,
            "grpc.max_receive_message_length": self.max_message_bytes,
            "grpc.initial_reconnect_backoff_ms": round(shortest_s * 1000),
            "grpc.max_reconnect_backoff_ms": round(longest_s * 1000),
            # In spite of its name this is the time one connection attempt is given.
            "grpc.min_reconnect_backoff_ms": round(self.connect_timeout_s * 1000),
            "grpc.keepalive_time_ms": round(self.keepalive_s * 1000),
            "grpc.keepalive_timeout_ms": round(self.keepalive_timeout_s * 1000),
            # Two clients of one address would share a connection, and so each other's faults.
            "grpc.use_local_subchannel_pool": 1,
            "grpc.enable_http_proxy": 0,
        }
        if self.tls is not None and self.tls.server_name:
            chosen["grpc.ssl_target_name_override"] = self.tls.server_name
        chosen.update(self.channel_options)
        return list(chosen.items())
