"""The world of real sockets: fake servers, a proxy before each, signals to their processes.

Servers live in this process, or in one of their own where a fault sends them signals. All
the client sees are the addresses of the proxies. Where the wire carries data in datagrams, a
relay stands between proxy and server, and faults on the link act on both ways.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from rpe.chaos.scenario.carrying import carries_datagrams
from rpe.chaos.shielding import bring_to_end
from rpe.chaos.world.links import Links
from rpe.chaos.world.servers import Servers
from rpe.chaos.world.tokens import TokenFiles
from rpe.chaos.world.world import Evidence, JournalLine, Means
from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.errors import ConfigurationError
from rpe.fakes.behaviour import Behaviour
from rpe.fakes.certificates import Certificate
from rpe.faults.actions import (
    Action,
    CutLink,
    CutSignalling,
    Rebind,
    SetBehaviour,
    SetImpairment,
    SetToxic,
    Signal,
    has_effect,
)
from rpe.faults.driver import ToxiproxyDriver
from rpe.faults.seeds import derive_seed

if TYPE_CHECKING:
    from rpe.chaos.world.datagrams import DatagramLinks

__all__ = ["WireWorld"]

NO_WIRES: Mapping[str, str] = MappingProxyType({})
NO_CERTIFICATES: Mapping[str, Certificate] = MappingProxyType({})

CONTROL_TIMEOUT_S = 5.0
"""How long one call to the proxy server may take."""


@dataclass(slots=True)
class _Applied:
    """What is known of one action, over all the times it was applied."""

    action: Action
    means: Means
    since_s: float | None = None
    spans: list[tuple[float, float]] = field(default_factory=list)
    count: int = 0
    details: dict[str, Any] = field(default_factory=dict)

    def begin(self, now: float) -> None:
        if self.since_s is None:
            self.since_s = now

    def end(self, now: float) -> None:
        if self.since_s is not None:
            self.spans.append((self.since_s, now))
            self.since_s = None


class WireWorld:
    """Fills `rpe.chaos.world.World` with real sockets. Use it as `async with`.

    Entering starts the servers with honest scripts; `begin` gives them theirs. Leaving
    takes everything back: proxies, servers, processes, also where entering failed half way.

    Arguments:
        servers: the script of each server, by name.
        transport: the wire that the servers speak.
        wires: the wire of each server that speaks another one.
        certificates: the certificate of each server that has TLS.
        tokens: is told of the tokens that scripts demand.
        processes: the servers that get a process of their own (see `Servers`).
        proxy_url: the API of a Toxiproxy; None starts one in this process.
        proxy_prefix: how the names of the proxies begin; drawn by default.
        draws: where all draws of the relays are written to, on a wire that has datagrams.
        seed: the root of the chance that the servers, the embedded proxy and the relay draw.
    """

    def __init__(
        self,
        servers: Mapping[str, Behaviour],
        *,
        transport: str = "grpc",
        wires: Mapping[str, str] = NO_WIRES,
        certificates: Mapping[str, Certificate] = NO_CERTIFICATES,
        tokens: TokenFiles | None = None,
        processes: Mapping[str, bool] | None = None,
        proxy_url: str | None = None,
        proxy_prefix: str = "",
        draws: Path | None = None,
        seed: int = 0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._wires = {**dict.fromkeys(servers, transport), **wires}
        self._servers = Servers(
            servers,
            wires=self._wires,
            certificates=certificates,
            tokens=tokens,
            processes=processes or {},
            seed=seed,
            clock=clock,
        )
        self._proxy_url = proxy_url
        self._proxy_prefix = proxy_prefix
        self._draws = draws
        self._seed = seed
        self._clock = clock
        self._stack = AsyncExitStack()
        self._applied: dict[str, _Applied] = {}
        self._driver: ToxiproxyDriver | None = None
        self._links: Links | None = None
        self._relayed = {name for name, wire in self._wires.items() if carries_datagrams(wire)}
        self._datagrams: DatagramLinks | None = None
        self._endpoints: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"WireWorld({list(self._endpoints)}, active={list(self.active())})"

    @property
    def endpoints(self) -> Mapping[str, str]:
        """The address of the proxy of each server, by the server's name."""
        return self._endpoints

    @property
    def links(self) -> Links:
        """The links, once the world is entered."""
        if self._links is None:
            raise RuntimeError("the world has not been entered")
        return self._links

    @property
    def datagrams(self) -> DatagramLinks:
        """The datagrams, once the world is entered, on a wire that has some."""
        if self._datagrams is None:
            raise RuntimeError("the world has not been entered, or its wire has no datagrams")
        return self._datagrams

    async def __aenter__(self) -> Self:
        """Start everything. Raises ProxyUnreachable at once where the proxy server does not answer."""
        try:
            driver = await self._stack.enter_async_context(
                ToxiproxyDriver(await self._proxy(), timeout_s=CONTROL_TIMEOUT_S)
            )
            self._driver = driver
            await driver.version()
            await self._stack.enter_async_context(self._servers)
            if self._relayed:
                self._datagrams = self._open_relays()
                self._stack.push_async_callback(self._datagrams.close)
            self._links = Links(driver, self._clock, self._proxy_prefix)
            self._stack.push_async_callback(self._links.close)
            for name, address in self._servers.addresses.items():
                if name in self._relayed:
                    address = await self.datagrams.open(name, address)
                self._endpoints[name] = await self._links.open(name, address)
        except BaseException:
            await bring_to_end(self._stack.aclose())
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await bring_to_end(self._stack.aclose())

    async def begin(self) -> None:
        """Give every server its script, and forget what the servers wrote so far: the run begins."""
        await self._servers.begin()
        if self._driver is not None:
            # An idle connection may have been closed meanwhile. The run will open it, so it has to be
            # there when somebody counts what is held before.
            await self._driver.version()

    # --- actions --------------------------------------------------------------------------------------------

    async def apply(self, key: str, action: Action) -> bool:
        """Apply an action and read it back (see the port). Everything here can be read back.

        Raises ConfigurationError where the action cannot act on this wire.
        """
        relayed = action.server in self._relayed
        if not has_effect(action, datagrams=relayed):
            what = getattr(action, "kind", type(action).__name__)
            raise ConfigurationError(f"{what} cannot act on the transport {self._wires[action.server]!r}")
        applied = self._applied.setdefault(key, _Applied(action, Means.OBSERVED))
        applied.begin(self._clock.now())
        match action:
            case SetToxic():
                has_counters = relayed or await self.links.stats(action.server) is not None
                applied.means = Means.OBSERVED if has_counters else Means.TRAFFIC
                await self.links.add_toxic(key, action)
                if relayed:
                    self.datagrams.add_toxic(key, action)
            case CutLink():
                applied.means = Means.FAILURES
                # First the datagrams: who asks its peer because the connection has ended must not hear it.
                if relayed:
                    self.datagrams.cut(key, action.server)
                await self._cut_connections(key, applied)
            case SetImpairment():
                self.datagrams.impair(key, action)
            case Rebind():
                applied.count += self.datagrams.rebind(action.server)
                applied.details["addresses"] = applied.count
            case CutSignalling():
                await self._cut_connections(key, applied)
            case Signal():
                await self._servers.signal(action.server, action.what)
                applied.count += 1
                applied.details["signal"] = action.what
            case SetBehaviour():
                applied.means = Means.SCRIPTED
                await self._servers.push_script(key, action.server, action.behaviour)
        return True

    async def undo(self, key: str) -> None:
        """Undo an action and read back that it is gone (see the port)."""
        applied = self._applied.get(key)
        if applied is None or applied.since_s is None:
            return
        action = applied.action
        if action.server in self._relayed:
            self.datagrams.relieve(key, action.server)
        match action:
            case SetToxic():
                await self.links.remove_toxic(key, action.server)
            case CutLink() | CutSignalling():
                await self.links.mend(key, action.server)
            case Signal():
                await self._servers.revive(action.server, action.what)
            case SetBehaviour():
                await self._servers.pop_script(key, action.server)
            case SetImpairment() | Rebind():
                pass  # the datagrams have been relieved; an old address is gone for good
        applied.end(self._clock.now())

    async def _cut_connections(self, key: str, applied: _Applied) -> None:
        """Cut the connection to a server, and count what drops where somebody can."""
        server = applied.action.server
        stats = await self.links.stats(server)
        dropped = None if stats is None else stats.open
        if server in self._relayed:
            dropped = self.datagrams.signalling_connections(server)
        await self.links.cut(key, server)
        if dropped is not None:
            applied.count += dropped
            applied.details["dropped_connections"] = applied.count

    def active(self) -> tuple[str, ...]:
        """Return the names of all actions that are in force now, or may be."""
        return tuple(key for key, applied in self._applied.items() if applied.since_s is not None)

    # --- what was seen --------------------------------------------------------------------------------------

    async def evidence(self, key: str) -> Evidence | None:
        """Return what is known of the acting of a name (see the port)."""
        applied = self._applied.get(key)
        if applied is None:
            return None
        spans = list(applied.spans)
        if applied.since_s is not None:
            spans.append((applied.since_s, self._clock.now()))
        count, details = applied.count, dict(applied.details)
        server = applied.action.server
        if isinstance(applied.action, SetToxic) and applied.means is Means.OBSERVED:
            stats = await self.links.stats(server)
            toxic = None if stats is None else stats.toxics.get(key)
            if toxic is not None:
                count = toxic.chunks or toxic.connections
                details.update(connections=toxic.connections, chunks=toxic.chunks, bytes=toxic.bytes)
        if server in self._relayed:
            packets, seen = self.datagrams.seen(key, server)
            count += packets
            details.update(seen)
        return Evidence(server, applied.means, tuple(spans), count, details)

    def forget_clients(self) -> None:
        """Let go of what is kept for clients that have said goodbye: the ways of their datagrams."""
        if self._datagrams is not None:
            self._datagrams.forget_clients()

    async def journal(self) -> Sequence[JournalLine]:
        """Return what the servers wrote since `begin`, in order of time."""
        return await self._servers.journal()

    def _open_relays(self) -> DatagramLinks:
        from rpe.chaos.world.datagrams import DatagramLinks  # not needed where there are no datagrams

        log = (
            None
            if self._draws is None
            else self._stack.enter_context(self._draws.open("w", encoding="utf-8"))
        )
        return DatagramLinks(derive_seed(self._seed, "relay"), log)

    async def _proxy(self) -> str:
        if self._proxy_url is not None:
            return self._proxy_url
        from rpe.faults.proxy import EmbeddedProxy  # not needed where a Toxiproxy is given

        embedded = EmbeddedProxy(seed=derive_seed(self._seed, "proxy"))
        return (await self._stack.enter_async_context(embedded)).url
