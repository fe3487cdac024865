"""A fake for code without an event loop: the same server, in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, Unpack

from rpe.fakes.behaviour import Behaviour
from rpe.fakes.journal import Entry
from rpe.testing.calls import Call, CallQueue, NodeRun
from rpe.testing.expectations import Expectation, Wanted
from rpe.testing.handlers import Answerer, Handler
from rpe.testing.hosting import LoopThread
from rpe.testing.pipeline import FakePipeline

__all__ = ["SyncCalls", "SyncFake", "SyncHandler"]

T = TypeVar("T")


class SyncCalls(Generic[T]):
    """A `CallQueue` that is asked from another thread."""

    def __init__(self, queue: CallQueue[T], thread: LoopThread) -> None:
        self._queue = queue
        self._thread = thread

    @property
    def count(self) -> int:
        """How many have come."""
        return self._queue.count

    @property
    def all(self) -> tuple[T, ...]:
        """All that are kept, oldest first, whether taken or not; also after the fake has ended."""
        return self._queue.all

    def next(self, timeout_s: float = 5.0) -> T:
        """Take the oldest that was not taken yet, waiting for one to come. Raises TimeoutError."""
        return self._thread.run(self._queue.next(timeout_s))

    def __len__(self) -> int:
        return self._queue.count

    def __repr__(self) -> str:
        return repr(self._queue)


class SyncHandler(SyncCalls[NodeRun]):
    """What a decorated function becomes: the queue of its runs. The function runs in the fake's thread."""

    def __init__(self, handler: Handler, thread: LoopThread) -> None:
        super().__init__(handler, thread)
        self.node_type = handler.node_type


class SyncFake:
    """A `FakePipeline` on a loop and a thread of its own, for sync tests and unittest.

        with SyncFake(nodes={"Transcribe": Text("hello")}) as fake:
            with rpe.connect_sync([fake.endpoint]) as client:
                ...

    Leaving the block stops the server, ends the thread, and then verifies; where an error leaves
    it, it only stops. The arguments are those of `FakePipeline`.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        self.fake = FakePipeline(*args, **settings)
        self._thread: LoopThread | None = None

    @property
    def name(self) -> str:
        """What the journal calls it."""
        return self.fake.name

    @property
    def transport(self) -> str:
        """The wire that it speaks."""
        return self.fake.transport

    @property
    def endpoint(self) -> str:
        """Where it listens, as `host:port`."""
        return self.fake.endpoint

    @property
    def calls(self) -> SyncCalls[Call]:
        """Every execution and session that has come."""
        return SyncCalls(self.fake.calls, self._running)

    def start(self) -> None:
        """Start thread and server. Raises ConfigurationError where that cannot be. Harmless where it runs."""
        if self._thread is not None:
            return
        thread = LoopThread(f"rpe fake {self.name}")
        try:
            thread.run(self.fake.start())
        except BaseException:
            thread.close()
            raise
        self._thread = thread

    def stop(self) -> None:
        """Stop the server and end the thread. Harmless where it does not run."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        try:
            thread.run(self.fake.stop())
        finally:
            thread.close()

    def handle(self, node_type: str) -> Callable[[Answerer], SyncHandler]:
        """Return a decorator: the function answers for nodes of that type, in the fake's thread."""

        def decorate(answer: Answerer) -> SyncHandler:
            return SyncHandler(self._running.ask(lambda: self.fake.handle(node_type)(answer)), self._running)

        return decorate

    def expect(
        self, *, times: int | None = None, at_least: int | None = None, **wanted: Unpack[Wanted]
    ) -> Expectation:
        """Expect calls from now on; see `FakePipeline.expect`."""
        return self._running.ask(lambda: self.fake.expect(times=times, at_least=at_least, **wanted))

    def set_behaviour(self, behaviour: Behaviour | Mapping[str, Any]) -> None:
        """Follow another script from the next call on."""
        self._running.run(self.fake.set_behaviour(behaviour))

    def journal_entries(self) -> list[Entry]:
        """Return what the journal has in memory."""
        return self._running.run(self.fake.journal_entries())

    def problems(self) -> str:
        """Tell what `verify` would raise; empty where all is well."""
        return self.fake.problems()

    def verify(self) -> None:
        """Raise ExpectationsUnmet where an expectation is not met, or a handler broke; then forget all."""
        self.fake.verify()

    @property
    def _running(self) -> LoopThread:
        if self._thread is None:
            raise RuntimeError("use the fake as a context manager: with SyncFake() as fake")
        return self._thread

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if error is None:
            self.verify()

    def __repr__(self) -> str:
        return f"<SyncFake of {self.fake!r}>"
