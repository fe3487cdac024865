"""A pool of fakes, each behind a fault proxy of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from string import ascii_lowercase
from types import TracebackType
from typing import Any, Self

from rpe.chaos.world.links import Links
from rpe.errors import ConfigurationError
from rpe.fakes.behaviour import Behaviour
from rpe.testing.expectations import ExpectationsUnmet
from rpe.testing.faulty import FaultyLink, FaultyLinks
from rpe.testing.handlers import Answerer
from rpe.testing.pipeline import FakePipeline, find_problems

__all__ = ["FakePool", "PoolMember"]


class PoolMember(FaultyLink):
    """A fake, and the link to it: `endpoint` is the proxy's, `upstream` the fake's own."""

    def __init__(self, fake: FakePipeline, links: Links, name: str, upstream: str, endpoint: str) -> None:
        super().__init__(links, name, upstream, endpoint)
        self.fake = fake


class FakePool:
    """Fakes on this loop, each behind a fault proxy, used as an async context.

        async with FakePool(2) as pool, rpe.connect(pool.endpoints) as client:
            async with pool["a"].down():
                await client.execute(...)

    Leaving the block stops all, and then verifies each fake; where an error leaves it, it only stops.

    Arguments:
        servers: how many, named a, b, c and so on, or their names.
        transport: `grpc` or `http`; the datagrams of WebRTC would go past the proxies.
        behaviour, nodes: the script and the nodes that all begin with.
        seed: the source of all chance, in the fakes and in the proxies.
        settings: further arguments of each `FakePipeline`.
    """

    def __init__(
        self,
        servers: int | Sequence[str] = 2,
        transport: str = "grpc",
        behaviour: Behaviour | Mapping[str, Any] | None = None,
        *,
        nodes: Mapping[str, Answerer] | None = None,
        seed: int = 0,
        **settings: Any,
    ) -> None:
        if transport == "webrtc":
            raise ConfigurationError(
                "a pool of fakes has proxies for streams of bytes, and WebRTC goes past them",
                hint="use FakePipeline, or a scenario, which has relays for datagrams",
            )
        names = _names(servers)
        self.transport = transport
        self.fakes: dict[str, FakePipeline] = {
            name: FakePipeline(name, transport, behaviour, nodes=nodes, seed=seed, **settings)
            for name in names
        }
        self._seed = seed
        self._members: dict[str, PoolMember] = {}
        self._running: AsyncExitStack | None = None

    @property
    def endpoints(self) -> list[str]:
        """The addresses of the proxies, in the order of the names: what a client is given."""
        return [member.endpoint for member in self]

    async def start(self) -> None:
        """Start the fakes and their proxies. Harmless where they run; where one fails, none is left."""
        if self._running is not None:
            return
        async with AsyncExitStack() as starting:
            links = await starting.enter_async_context(FaultyLinks(seed=self._seed))
            for name, fake in self.fakes.items():
                starting.push_async_callback(fake.stop)
                await fake.start()
                self._members[name] = PoolMember(fake, *await links.lay(fake.endpoint, name))
            self._running = starting.pop_all()

    async def stop(self) -> None:
        """Stop fakes and proxies, and wait for them. Harmless where they do not run."""
        running, self._running = self._running, None
        if running is not None:
            await running.aclose()

    def problems(self) -> str:
        """Tell what `verify` would raise; empty where all is well."""
        return find_problems(self.fakes)

    def verify(self) -> None:
        """Raise ExpectationsUnmet where an expectation at any of the fakes is not met; then forget all."""
        found: list[ExpectationsUnmet] = []
        for fake in self.fakes.values():
            try:
                fake.verify()
            except ExpectationsUnmet as error:
                found.append(error)
        if found:
            cause = next((error.__cause__ for error in found if error.__cause__), None)
            raise ExpectationsUnmet("\n".join(map(str, found))) from cause

    def __getitem__(self, name: str) -> PoolMember:
        try:
            return self._members[name]
        except KeyError:
            known = ", ".join(self._members) or "none, before the pool is started"
            raise ConfigurationError(
                f"the pool has no server {name!r}", hint=f"its servers: {known}"
            ) from None

    def __iter__(self) -> Iterator[PoolMember]:
        return iter(self._members.values())

    def __len__(self) -> int:
        return len(self.fakes)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        if error is None:
            self.verify()

    def __repr__(self) -> str:
        return f"<FakePool of {', '.join(self.fakes)} ({self.transport})>"


def _names(servers: int | Sequence[str]) -> list[str]:
    if isinstance(servers, int):
        if isinstance(servers, bool) or not 1 <= servers <= len(ascii_lowercase):
            raise ConfigurationError(f"a pool has 1 to {len(ascii_lowercase)} servers, not {servers}")
        return list(ascii_lowercase[:servers])
    names = [servers] if isinstance(servers, str) else list(servers)
    if not names or len(set(names)) < len(names) or not all(names):
        raise ConfigurationError("the servers of a pool have names, and no two the same")
    return names
