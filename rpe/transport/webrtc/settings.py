"""What the two ends of the WebRTC transport can be told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, Self, get_args

from rpe.errors import ConfigurationError, ManifestInvalid
from rpe.manifest.model import Manifest
from rpe.transport.addresses import is_loopback
from rpe.transport.credentials import TokenSource, as_token_source
from rpe.transport.ports import TlsSettings
from rpe.transport.serving import ServerSettings

__all__ = [
    "IceServer",
    "IceSettings",
    "SignallingKind",
    "WebrtcServerSettings",
    "WebrtcSettings",
    "is_loopback",
]

SignallingKind = Literal["websocket", "grpc"]
IcePolicy = Literal["all", "relay"]
Mode = Literal["pipeline", "plain"]
StreamChannel = Literal["reliable", "lossy"]

_SCHEMES = ("stun:", "stuns:", "turn:", "turns:")


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server, by its URLs (RFC 7064, RFC 7065), with the credentials of TURN."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not self.urls or not all(url.startswith(_SCHEMES) for url in self.urls):
            raise ConfigurationError(
                f"an ICE server needs urls, unlike {self.urls!r}",
                hint=f"a URL begins with one of {', '.join(_SCHEMES)}",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class IceSettings:
    """How a peer finds its way to the other.

    Arguments:
        ice_servers: STUN and TURN servers; none is asked unless it is named here.
        ice_transport_policy: `relay` uses nothing but TURN.
        host_addresses: where host candidates are gathered; by default at loopback where the
            other side is reached over it, or else at every address of the machine.
        gather_timeout_s: how long STUN and TURN servers have to answer.
    """

    ice_servers: tuple[IceServer, ...] = ()
    ice_transport_policy: IcePolicy = "all"
    host_addresses: tuple[str, ...] = ()
    gather_timeout_s: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WebrtcSettings:
    """Settings of one WebRTC client.

    Arguments:
        token: bearer token, sent in the signalling, or the source of one. What is called over a
            peer connection comes with the token that the connection was made with; once a call
            is refused for it, the next one makes another connection, with the token of then.
        allow_clear_token: let the token travel without TLS to an address that is not loopback.
        tls: certificates of the signalling connection; None is a connection in clear text.
            (What follows between the peers is encrypted in any case.)
        signalling: `websocket` (JSON-RPC at `signalling_path`) or `grpc`.
        mode: `pipeline` speaks the framing of this package, with a manifest in each call;
            `plain` sends and takes bare DataBuffers, and the server runs its own manifest.
        ice_servers, ice_transport_policy, host_addresses, gather_timeout_s: see `IceSettings`.
        connect_timeout_s: how long a peer may take until it is open.
        heartbeat_interval_s: after how much silence a peer is asked for a sign of life.
        grace_s: after how much silence it is given up; shorter losses are survived.
        max_message_bytes: the largest message sent or received.
        stream_channel: `lossy` sends the chunks and results of sessions on a channel that does
            not wait for what was lost.
        max_retransmits: how often such a channel tries again.
        reorder_window_s: how long a lossy session waits for a chunk that others have overtaken.
    """

    token: str | TokenSource | None = field(default=None, repr=False)
    allow_clear_token: bool = False
    tls: TlsSettings | None = None
    signalling: SignallingKind = "websocket"
    signalling_path: str = "/ws"
    mode: Mode = "pipeline"
    ice_servers: tuple[IceServer, ...] = ()
    ice_transport_policy: IcePolicy = "all"
    host_addresses: tuple[str, ...] = ()
    gather_timeout_s: float = 5.0
    connect_timeout_s: float = 5.0
    heartbeat_interval_s: float = 1.0
    grace_s: float = 5.0
    max_message_bytes: int = 16 * 1024 * 1024
    stream_channel: StreamChannel = "reliable"
    max_retransmits: int = 1
    reorder_window_s: float = 0.1

    def __post_init__(self) -> None:
        as_token_source(self.token)
        _check_choices(
            self,
            signalling=SignallingKind,
            mode=Mode,
            ice_transport_policy=IcePolicy,
            stream_channel=StreamChannel,
        )
        _check_above_zero(
            self,
            "connect_timeout_s",
            "gather_timeout_s",
            "heartbeat_interval_s",
            "grace_s",
            "max_message_bytes",
            "reorder_window_s",
        )
        _check_grace(self.heartbeat_interval_s, self.grace_s)
        _check_relay(self.ice)
        if not 0 <= self.max_retransmits <= 0xFFFF:
            raise ConfigurationError(f"max_retransmits is {self.max_retransmits}, but must be 0 to 65535")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Read settings from a plain mapping. Raises ConfigurationError naming every unknown key."""
        _check_known("the webrtc transport", cls, config)
        return cls(**_read_lists(config))

    @property
    def ice(self) -> IceSettings:
        """The part that a peer connection is made by."""
        return IceSettings(
            ice_servers=self.ice_servers,
            ice_transport_policy=self.ice_transport_policy,
            host_addresses=self.host_addresses,
            gather_timeout_s=self.gather_timeout_s,
        )

    def check_token(self, endpoint: str) -> None:
        """Refuse to send the token in clear text beyond this machine. Raises ConfigurationError."""
        if self.token is None or self.tls is not None or self.allow_clear_token or is_loopback(endpoint):
            return
        raise ConfigurationError(
            "a token would travel in clear text",
            endpoint=endpoint,
            hint="set tls, or allow_clear_token where the network itself is trusted",
        )


@dataclass(frozen=True, slots=True)
class WebrtcServerSettings(ServerSettings):
    """Settings of a WebRTC server, beside those of every server.

    Arguments:
        signalling: the kinds of signalling offered; `port` is that of the first, each further
            one is at a free port of its own.
        manifest: what plain-mode peers are served by; a single Echo node by default.
        max_peers: how many peers there may be at once.
        ice_servers, ice_transport_policy, host_addresses, gather_timeout_s: see `IceSettings`.
        heartbeat_interval_s, grace_s: as for the client.
        connect_timeout_s: how long a peer that was answered may take until it is connected.
        reorder_window_s: how long a lossy session waits for a chunk that others have overtaken.
    """

    signalling: tuple[SignallingKind, ...] = ("websocket",)
    manifest: Manifest | None = None
    max_peers: int = 1000
    ice_servers: tuple[IceServer, ...] = ()
    ice_transport_policy: IcePolicy = "all"
    host_addresses: tuple[str, ...] = ()
    gather_timeout_s: float = 5.0
    heartbeat_interval_s: float = 1.0
    grace_s: float = 5.0
    connect_timeout_s: float = 10.0
    reorder_window_s: float = 0.1

    def __post_init__(self) -> None:
        _check_choices(self, ice_transport_policy=IcePolicy)
        known = get_args(SignallingKind)
        if not self.signalling or any(kind not in known for kind in self.signalling):
            raise ConfigurationError(
                f"signalling is {self.signalling!r}", hint=f"give one or more of {', '.join(known)}"
            )
        _check_above_zero(
            self,
            "max_peers",
            "gather_timeout_s",
            "heartbeat_interval_s",
            "grace_s",
            "connect_timeout_s",
            "max_message_bytes",
            "reorder_window_s",
        )
        _check_grace(self.heartbeat_interval_s, self.grace_s)
        _check_relay(self.ice)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Read settings from a plain mapping. Raises ConfigurationError naming every unknown key."""
        _check_known("a server", cls, config)
        values = _read_lists(config)
        kinds = values.get("signalling")
        if isinstance(kinds, str):
            values["signalling"] = (kinds,)
        manifest = values.get("manifest")
        if isinstance(manifest, Mapping):
            try:
                values["manifest"] = Manifest.from_dict(manifest)
            except ManifestInvalid as error:
                raise ConfigurationError(f"the manifest of a server: {error.message}") from error
        return cls(**values)

    @property
    def ice(self) -> IceSettings:
        """The part that a peer connection is made by."""
        return IceSettings(
            ice_servers=self.ice_servers,
            ice_transport_policy=self.ice_transport_policy,
            host_addresses=self.host_addresses,
            gather_timeout_s=self.gather_timeout_s,
        )

    def at_port(self, port: int) -> Self:
        """The same at another port."""
        return replace(self, port=port)


def _check_known(who: str, kind: type[Any], config: Mapping[str, Any]) -> None:
    known = {item.name for item in fields(kind)}
    if unknown := sorted(set(config) - known):
        raise ConfigurationError(
            f"{who} has no setting {', '.join(unknown)}", hint=f"it has: {', '.join(sorted(known))}"
        )


def _check_choices(settings: object, **choices: Any) -> None:
    for name, kind in choices.items():
        value, known = getattr(settings, name), get_args(kind)
        if value not in known:
            raise ConfigurationError(f"{name} is {value!r}", hint=f"give one of {', '.join(known)}")


def _check_above_zero(settings: object, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        if not isinstance(value, (int, float)) or not value > 0:
            raise ConfigurationError(f"{name} is {value!r}, but must be above 0")


def _check_grace(interval_s: float, grace_s: float) -> None:
    if grace_s <= interval_s:
        raise ConfigurationError(
            f"grace_s is {grace_s}, and heartbeat_interval_s {interval_s}",
            hint="a peer can only be given up after it was asked: let grace_s be a few intervals",
        )


def _check_relay(ice: IceSettings) -> None:
    turn = any(url.startswith(("turn:", "turns:")) for server in ice.ice_servers for url in server.urls)
    if ice.ice_transport_policy == "relay" and not turn:
        raise ConfigurationError(
            "ice_transport_policy is relay, but no TURN server is given", hint="add ice_servers"
        )


def _read_lists(config: Mapping[str, Any]) -> dict[str, Any]:
    """Turn what a settings file can hold (lists, mappings) into what the settings are made of."""
    values = dict(config)
    for name in ("host_addresses", "signalling"):
        if isinstance(values.get(name), list):
            values[name] = tuple(values[name])
    if "ice_servers" in values:
        servers = values["ice_servers"]
        if not isinstance(servers, (list, tuple)):
            raise ConfigurationError("ice_servers is no list")
        values["ice_servers"] = tuple(_read_server(server) for server in servers)
    return values


def _read_server(server: Any) -> IceServer:
    if isinstance(server, IceServer):
        return server
    if isinstance(server, str):
        return IceServer((server,))
    if not isinstance(server, Mapping):
        raise ConfigurationError("an ICE server is neither a URL nor a mapping")
    _check_known("an ICE server", IceServer, server)
    urls = server.get("urls", ())
    listed: Iterable[str] = (urls,) if isinstance(urls, str) else urls
    return IceServer(tuple(listed), server.get("username"), server.get("credential"))
