"""What the proxy driver returns and raises: frozen states, counters, typed errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Self

from rpe.errors import ErrorKind, RpeError
from rpe.faults.actions import Stream

__all__ = [
    "ByteCounts",
    "ProxyControlError",
    "ProxyState",
    "ProxyStats",
    "ProxyUnreachable",
    "ToxicState",
    "ToxicStats",
]


class ProxyControlError(RpeError):
    """The proxy server refused a request.

    `status` is the HTTP status (None if there was no answer), `server_message` its own words.
    """

    code = "proxy_control"
    kind = ErrorKind.CONFIGURATION

    def __init__(
        self,
        message: str,
        *,
        endpoint: str,
        status: int | None = None,
        server_message: str = "",
        maybe_executed: bool | None = None,
    ) -> None:
        super().__init__(message, endpoint=endpoint, maybe_executed=maybe_executed)
        self.status = status
        self.server_message = server_message


class ProxyUnreachable(ProxyControlError):
    """The proxy server gave no answer; whether it did what was asked is told by `maybe_executed`."""

    code = "proxy_unreachable"
    kind = ErrorKind.NETWORK
    default_retryable = True
    default_hint = "start one with `rpe proxy` or toxiproxy-server, and check the URL"


@dataclass(frozen=True, slots=True)
class ToxicState:
    """A toxic as the server has it. `attributes` are in Toxiproxy's names and units."""

    name: str
    kind: str
    stream: Stream
    toxicity: float
    attributes: Mapping[str, int]

    @classmethod
    def from_json(cls, answer: Mapping[str, Any]) -> Self:
        """Read a toxic from an answer."""
        attributes = MappingProxyType(dict(answer["attributes"] or {}))
        return cls(answer["name"], answer["type"], answer["stream"], answer["toxicity"], attributes)


@dataclass(frozen=True, slots=True)
class ProxyState:
    """A proxy as the server has it. `listen` is where it listens, once it was enabled."""

    name: str
    listen: str
    upstream: str
    enabled: bool
    toxics: tuple[ToxicState, ...] = ()

    @classmethod
    def from_json(cls, answer: Mapping[str, Any]) -> Self:
        """Read a proxy from an answer."""
        toxics = tuple(ToxicState.from_json(toxic) for toxic in answer.get("toxics") or ())
        return cls(answer["name"], answer["listen"], answer["upstream"], answer["enabled"], toxics)

    @property
    def host(self) -> str:
        """The host of `listen`, without brackets."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port of `listen`."""
        return int(self.listen.rpartition(":")[2])

    def toxic(self, name: str) -> ToxicState | None:
        """Return a toxic by name."""
        return next((toxic for toxic in self.toxics if toxic.name == name), None)


@dataclass(frozen=True, slots=True)
class ToxicStats:
    """What a toxic did: on how many connections, chunks and bytes. It outlives the toxic."""

    kind: str
    stream: Stream
    connections: int
    chunks: int
    bytes: int

    @classmethod
    def from_json(cls, answer: Mapping[str, Any]) -> Self:
        """Read the counters of a toxic from an answer."""
        return cls(answer["type"], answer["stream"], answer["connections"], answer["chunks"], answer["bytes"])


@dataclass(frozen=True, slots=True)
class ByteCounts:
    """Bytes of one direction: read from its source, and handed to its destination."""

    received: int
    sent: int

    @classmethod
    def from_json(cls, answer: Mapping[str, int]) -> Self:
        """Read the counters of one direction from an answer."""
        return cls(answer["received_bytes"], answer["sent_bytes"])


@dataclass(frozen=True, slots=True)
class ProxyStats:
    """What went on at a proxy since it was made. Upstream is from the client to the server."""

    accepted: int
    open: int
    refused_upstream: int
    upstream: ByteCounts
    downstream: ByteCounts
    toxics: Mapping[str, ToxicStats] = field(default_factory=dict)

    @classmethod
    def from_json(cls, answer: Mapping[str, Any]) -> Self:
        """Read the counters of a proxy from an answer."""
        connections = answer["connections"]
        return cls(
            accepted=connections["accepted"],
            open=connections["open"],
            refused_upstream=connections["refused_upstream"],
            upstream=ByteCounts.from_json(answer["bytes"]["upstream"]),
            downstream=ByteCounts.from_json(answer["bytes"]["downstream"]),
            toxics=MappingProxyType(
                {name: ToxicStats.from_json(toxic) for name, toxic in answer["toxics"].items()}
            ),
        )
