"""Pools and faulty links for code without an event loop: the same ones, in a thread of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from types import TracebackType
from typing import Any, Self, Unpack

from rpe.fakes.behaviour import Behaviour
from rpe.faults.driver import ProxyStats
from rpe.faults.toxics import Direction
from rpe.testing.calls import Call
from rpe.testing.expectations import Expectation, Wanted
from rpe.testing.faulty import FaultyLink, FaultyLinks
from rpe.testing.handlers import Answerer
from rpe.testing.hosting import LoopThread
from rpe.testing.pool import FakePool, PoolMember
from rpe.testing.sync import SyncCalls, SyncHandler

__all__ = ["SyncLink", "SyncLinks", "SyncMember", "SyncPool"]


class SyncLink:
    """A `FaultyLink` whose faults are plain contexts: `with link.down(): ...`."""

    def __init__(self, link: FaultyLink, thread: LoopThread) -> None:
        self._link = link
        self._thread = thread

    @property
    def name(self) -> str:
        """What the proxy is called."""
        return self._link.name

    @property
    def upstream(self) -> str:
        """The address that it leads to."""
        return self._link.upstream

    @property
    def endpoint(self) -> str:
        """The address for the client."""
        return self._link.endpoint

    def fault(self, kind: str, **settings: Any) -> AbstractContextManager[None]:
        """A fault of any kind that a link can have; see `FaultyLink.fault`."""
        return self._during(self._link.fault(kind, **settings))

    def down(self) -> AbstractContextManager[None]:
        """Nothing listens: connections drop, new ones are refused."""
        return self._during(self._link.down())

    def blackhole(self) -> AbstractContextManager[None]:
        """Connections stay open, and nothing passes any more."""
        return self._during(self._link.blackhole())

    def latency(
        self, latency_s: float, *, jitter_s: float = 0.0, direction: Direction = "both"
    ) -> AbstractContextManager[None]:
        """Bytes are held back for `latency_s` seconds, in each direction that is meant."""
        return self._during(self._link.latency(latency_s, jitter_s=jitter_s, direction=direction))

    def bandwidth(
        self, rate_bytes_per_s: int, *, direction: Direction = "both"
    ) -> AbstractContextManager[None]:
        """So many bytes a second pass, at most, per connection and direction."""
        return self._during(self._link.bandwidth(rate_bytes_per_s, direction=direction))

    def stats(self) -> ProxyStats:
        """Return what has passed, and what each fault has done."""
        return self._thread.run(self._link.stats())

    @contextmanager
    def _during(self, fault: AbstractAsyncContextManager[None]) -> Iterator[None]:
        self._thread.run(_enter(fault))
        try:
            yield
        finally:
            self._thread.run(_leave(fault))

    def __repr__(self) -> str:
        return repr(self._link)


class SyncMember(SyncLink):
    """A `PoolMember`: a link, and the fake behind it."""

    def __init__(self, member: PoolMember, thread: LoopThread) -> None:
        super().__init__(member, thread)
        self._fake = member.fake

    @property
    def calls(self) -> SyncCalls[Call]:
        """Every execution and session that has come to this server."""
        return SyncCalls(self._fake.calls, self._thread)

    def handle(self, node_type: str) -> Callable[[Answerer], SyncHandler]:
        """Return a decorator: the function answers for nodes of that type, in the servers' thread."""
        return lambda answer: SyncHandler(self._fake.handle(node_type)(answer), self._thread)

    def expect(
        self, *, times: int | None = None, at_least: int | None = None, **wanted: Unpack[Wanted]
    ) -> Expectation:
        """Expect calls of this server from now on; see `FakePipeline.expect`."""
        return self._thread.ask(lambda: self._fake.expect(times=times, at_least=at_least, **wanted))

    def set_behaviour(self, behaviour: Behaviour | Mapping[str, Any]) -> None:
        """Follow another script from the next call on."""
        self._thread.run(self._fake.set_behaviour(behaviour))


class _Hosted:
    """Something that is entered and left on the loop of a thread of its own."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._thread: LoopThread | None = None

    def start(self) -> None:
        """Start thread and servers. Harmless where they run."""
        if self._thread is not None:
            return
        thread = LoopThread(self._name)
        try:
            thread.run(self._hosted.start())
        except BaseException:
            thread.close()
            raise
        self._thread = thread

    def stop(self) -> None:
        """Stop the servers and end the thread. Harmless where they do not run."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        try:
            thread.run(self._hosted.stop())
        finally:
            thread.close()

    @property
    def _hosted(self) -> FaultyLinks | FakePool:
        raise NotImplementedError

    @property
    def _running(self) -> LoopThread:
        if self._thread is None:
            raise RuntimeError(f"use it as a context manager: with {type(self).__name__}(...)")
        return self._thread

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class SyncLinks(_Hosted):
    """`FaultyLinks` on a loop and a thread of their own. The arguments are the same."""

    def __init__(self, **settings: Any) -> None:
        super().__init__("rpe faulty links")
        self._links = FaultyLinks(**settings)

    @property
    def _hosted(self) -> FaultyLinks:
        return self._links

    def open(self, upstream: str, name: str = "") -> SyncLink:
        """Put a proxy before an address (`host:port`), under a name of your own or a number."""
        return SyncLink(self._running.run(self._links.open(upstream, name)), self._running)


class SyncPool(_Hosted):
    """A `FakePool` on a loop and a thread of its own. The arguments are the same.

    Leaving the block stops all, and then verifies; where an error leaves it, it only stops.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__("rpe fake pool")
        self.pool = FakePool(*args, **settings)

    @property
    def _hosted(self) -> FakePool:
        return self.pool

    @property
    def endpoints(self) -> list[str]:
        """The addresses of the proxies, in the order of the names."""
        return self.pool.endpoints

    def problems(self) -> str:
        """Tell what `verify` would raise; empty where all is well."""
        return self.pool.problems()

    def verify(self) -> None:
        """Raise ExpectationsUnmet where an expectation at any of the fakes is not met."""
        self.pool.verify()

    def __getitem__(self, name: str) -> SyncMember:
        return SyncMember(self.pool[name], self._running)

    def __iter__(self) -> Iterator[SyncMember]:
        return (SyncMember(member, self._running) for member in self.pool)

    def __len__(self) -> int:
        return len(self.pool)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if error is None:
            self.verify()


async def _enter(fault: AbstractAsyncContextManager[None]) -> None:
    await fault.__aenter__()


async def _leave(fault: AbstractAsyncContextManager[None]) -> None:
    await fault.__aexit__(None, None, None)
