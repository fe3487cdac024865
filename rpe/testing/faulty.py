"""Links that fail on command: a fault proxy before any address, and the fault kinds as contexts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from random import Random
from types import TracebackType
from typing import Any, Self

from pydantic import ValidationError

from rpe.chaos.world.links import Links
from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.errors import ConfigurationError
from rpe.faults.actions import Action, CutLink, SetToxic, Step
from rpe.faults.driver import ProxyStats, ToxiproxyDriver
from rpe.faults.kinds import KINDS, FaultContext
from rpe.faults.proxy import EmbeddedProxy
from rpe.faults.toxics import Direction

__all__ = ["FaultyLink", "FaultyLinks"]


class FaultyLink:
    """A proxy before one address. Made by `FaultyLinks.open`.

    Each fault is a context: `async with link.down(): ...`. It is in force, and has been read
    back, when the block begins, and is gone when the block has ended, however it ended.
    Several hold at once. Clients stay at `endpoint` all the time.

    Attributes:
        name: what the proxy is called.
        upstream: the address that it leads to.
        endpoint: the address for the client, as `host:port`.
    """

    def __init__(self, links: Links, name: str, upstream: str, endpoint: str) -> None:
        self.name = name
        self.upstream = upstream
        self.endpoint = endpoint
        self._links = links
        self._faults = count(1)

    @asynccontextmanager
    async def fault(self, kind: str, **settings: Any) -> AsyncIterator[None]:
        """A fault of any kind that a link can have, with the settings that it has in a scenario.

        Raises ConfigurationError for a kind or a setting that there is not, and for kinds that
        are spread over time, or done to a process or to datagrams.
        """
        steps = _steps(self.name, kind, settings)
        async with AsyncExitStack() as undoing:
            for step in steps:
                await self._apply(f"{kind}-{next(self._faults)}", step.action, undoing)
            yield

    @asynccontextmanager
    async def down(self) -> AsyncIterator[None]:
        """Nothing listens: connections drop, new ones are refused."""
        async with self.fault("down"):
            yield

    @asynccontextmanager
    async def blackhole(self) -> AsyncIterator[None]:
        """Connections stay open, and nothing passes any more."""
        async with self.fault("blackhole"):
            yield

    @asynccontextmanager
    async def latency(
        self, latency_s: float, *, jitter_s: float = 0.0, direction: Direction = "both"
    ) -> AsyncIterator[None]:
        """Bytes are held back for `latency_s` seconds, in each direction that is meant."""
        async with self.fault("latency", latency_s=latency_s, jitter_s=jitter_s, direction=direction):
            yield

    @asynccontextmanager
    async def bandwidth(self, rate_bytes_per_s: int, *, direction: Direction = "both") -> AsyncIterator[None]:
        """So many bytes a second pass, at most, per connection and direction."""
        async with self.fault("bandwidth", rate_bytes_per_s=rate_bytes_per_s, direction=direction):
            yield

    async def stats(self) -> ProxyStats:
        """Return what has passed, and what each fault has done."""
        stats = await self._links.stats(self.name)
        assert stats is not None  # the proxy server is our own
        return stats

    async def _apply(self, key: str, action: Action, undoing: AsyncExitStack) -> None:
        # What undoes it is noted first: where the answer is lost, it may be in force all the same.
        match action:
            case SetToxic():
                undoing.push_async_callback(self._links.remove_toxic, key, self.name)
                await self._links.add_toxic(key, action)
            case CutLink():
                undoing.push_async_callback(self._links.mend, key, self.name)
                await self._links.cut(key, self.name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {self.endpoint} before {self.upstream}>"


class FaultyLinks:
    """Any number of fault proxies, on one embedded proxy server on this loop.

        async with FaultyLinks() as links:
            link = await links.open("127.0.0.1:50051")
            async with rpe.connect([link.endpoint]) as client, link.latency(0.2):
                ...

    Leaving the block closes every proxy and connection.

    Arguments:
        seed: the source of all chance in the proxies.
    """

    def __init__(self, *, seed: int = 0, clock: Clock = SYSTEM_CLOCK) -> None:
        self._seed = seed
        self._clock = clock
        self._running: AsyncExitStack | None = None
        self._links: Links | None = None
        self._numbers = count(1)

    async def start(self) -> None:
        """Start the proxy server. Harmless where it runs."""
        if self._running is not None:
            return
        async with AsyncExitStack() as starting:
            proxy = await starting.enter_async_context(EmbeddedProxy(seed=self._seed))
            driver = await starting.enter_async_context(ToxiproxyDriver(proxy.url))
            self._links = Links(driver, self._clock)
            self._running = starting.pop_all()

    async def stop(self) -> None:
        """Close every proxy and the server, and wait for them. Harmless where it does not run."""
        running, self._running, self._links = self._running, None, None
        if running is not None:
            await running.aclose()

    async def open(self, upstream: str, name: str = "") -> FaultyLink:
        """Put a proxy before an address (`host:port`), under a name of your own or a number.

        Raises ConfigurationError where the proxy server does not run, and ProxyControlError
        where the address is none or the name is taken.
        """
        return FaultyLink(*await self.lay(upstream, name))

    async def lay(self, upstream: str, name: str = "") -> tuple[Links, str, str, str]:
        """Put a proxy before an address, and return what a `FaultyLink` is made of."""
        if self._links is None:
            raise ConfigurationError("the proxy server is not running", hint="use it as `async with`")
        name = name or f"link-{next(self._numbers)}"
        return self._links, name, upstream, await self._links.open(name, upstream)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


def _steps(server: str, kind: str, settings: dict[str, Any]) -> tuple[Step, ...]:
    """Return what a fault of a kind does to a link."""
    known = KINDS.get(kind)
    if known is None:
        raise ConfigurationError(f"there is no fault {kind!r}", hint=f"known are {', '.join(sorted(KINDS))}")
    if known.scheduled:
        raise ConfigurationError(f"{kind} is spread over time", hint="write a scenario for it")
    try:
        fault = known.model_validate({"on": [server], **settings})
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}" for detail in error.errors())
        raise ConfigurationError(f"the fault {kind} cannot be read: {told}") from error
    steps = fault.actions(FaultContext(duration_s=0.0, random=Random(server)))
    if not all(isinstance(step.action, SetToxic | CutLink) for step in steps):
        raise ConfigurationError(
            f"{kind} is not done to a link", hint="set_behaviour scripts a fake; a scenario has the rest"
        )
    return steps
