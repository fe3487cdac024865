"""The fake of a test: a server that shows its calls, has handlers, and verifies what was expected of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Unpack

from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.errors import ConfigurationError, redact
from rpe.fakes.behaviour import Behaviour
from rpe.fakes.nodes import BUILT_IN, NodeFunction
from rpe.fakes.server import FakeServer
from rpe.testing.calls import Call, CallQueue
from rpe.testing.expectations import Expectation, ExpectationsUnmet, Wanted, checks
from rpe.testing.handlers import Answerer, Handler
from rpe.testing.timing import SessionTiming, timing_of
from rpe.testing.watching import WatchedBrain

__all__ = ["FakePipeline", "find_problems"]


class FakePipeline(FakeServer):
    """A fake server on this loop, for one test.

        async with FakePipeline(nodes={"Transcribe": Text("hello")}) as fake:
            fake.expect(node_type="Transcribe", times=1)
            async with rpe.connect([fake.endpoint]) as client:
                ...

    Leaving the block stops the server, and then verifies; where an error leaves it, it only stops.

    Arguments:
        name, transport, behaviour: as for `FakeServer`.
        nodes: node types beside the built-in ones: functions of the data (or of the data and a
            `NodeCall`), or data to be answered each time.
        limit: so many calls are kept, the newest.
        settings: further arguments of `FakeServer`, such as `seed` or `allow_scripts`.

    Attributes:
        calls: every execution and session that has come, each attempt by itself, refused ones too.
    """

    _make_brain = WatchedBrain
    brain: WatchedBrain

    def __init__(
        self,
        name: str = "pipeline",
        transport: str = "grpc",
        behaviour: Behaviour | Mapping[str, Any] | None = None,
        *,
        nodes: Mapping[str, Answerer] | None = None,
        limit: int = 10_000,
        clock: Clock = SYSTEM_CLOCK,
        **settings: Any,
    ) -> None:
        self._functions: dict[str, NodeFunction] = dict(BUILT_IN)
        super().__init__(name, transport, behaviour, nodes=self._functions, clock=clock, **settings)
        self.calls: CallQueue[Call] = CallQueue(limit=limit, clock=clock)
        self.brain.on_call = self.calls.append
        self._handlers: list[Handler] = []
        self._expectations: list[Expectation] = []
        for node_type, answer in (nodes or {}).items():
            self.handle(node_type)(answer)

    def timing(self, operation_id: str | None = None, call: int | None = None) -> SessionTiming:
        """Return when what came and went, of one operation with all its attempts, or of one call.

        Raises ConfigurationError where the journal has no such call, or several (see `rpe.testing.timing`).
        """
        return timing_of(self.journal, operation_id=operation_id, call=call)

    def handle(self, node_type: str) -> Callable[[Answerer], Handler]:
        """Return a decorator: the function answers for nodes of that type from now on.

        The decorated name becomes a `Handler`, the queue of its runs. What the function raises
        by mistake (an assertion that fails in it, too) fails the call, and `verify` tells of it.
        """

        def decorate(answer: Answerer) -> Handler:
            handler = Handler(node_type, answer, clock=self._clock)
            self._handlers.append(handler)
            self._functions[node_type] = handler
            return handler

        return decorate

    def expect(
        self, *, times: int | None = None, at_least: int | None = None, **wanted: Unpack[Wanted]
    ) -> Expectation:
        """Expect calls from now on; `verify`, at the end of the test, tells of those that did not come.

        Arguments:
            times: exactly so many; 1 where neither this nor `at_least` is given, 0 for none at all.
            at_least: so many or more.
            node_type: the pipeline has a node of that type.
            method: `execute` or `stream`.
            text, text_contains, text_matches: one of the texts in the call is equal, contains this,
                or has a match for this regular expression.
            params: parameters of a node (one of `node_type`, where that is given), by name.
            metadata: metadata or headers, by name.
            operation_id, attempt: what the caller says that the call is.
            where: a function of the `Call`.

        Raises ConfigurationError for a number or a condition that cannot be.
        """
        if times is not None and at_least is not None:
            raise ConfigurationError("expect takes times or at_least, not both")
        least = at_least if at_least is not None else 1 if times is None else times
        if least < 0 or isinstance(least, bool):
            raise ConfigurationError(f"a number of calls is 0 or more, not {least}")
        try:
            conditions = checks(**wanted)
        except TypeError as error:
            raise ConfigurationError(f"expect does not know this: {error}") from error
        most = None if at_least is not None else least
        expectation = Expectation(conditions, least, most, self.calls.count)
        self._expectations.append(expectation)
        return expectation

    def problems(self) -> str:
        """Tell what `verify` would raise; empty where all is well. Nothing is forgotten by it."""
        found = [problem for each in self._expectations if (problem := each.problem(self.calls.all))]
        if found and self.calls.forgotten:
            found.append(f"({self.calls.forgotten} older calls are not kept, and were not looked at)")
        found += [
            f"the handler of {handler.node_type} raised {type(error).__name__}: {error}"
            for handler in self._handlers
            for error in handler.broke
        ]
        return redact("\n".join(found))

    def verify(self) -> None:
        """Raise ExpectationsUnmet where an expectation is not met, or a handler broke; then forget all."""
        found = self.problems()
        broken = [error for handler in self._handlers for error in handler.broke]
        self._expectations.clear()
        for handler in self._handlers:
            handler.broke.clear()
        if found:
            raise ExpectationsUnmet(f"fake {self.name}:\n{found}") from (broken[0] if broken else None)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        if error is None:
            self.verify()

    def __repr__(self) -> str:
        where = self.endpoint or "no address yet"
        return f"<FakePipeline {self.name} ({self.transport}) at {where}, {self.calls.count} calls>"


def find_problems(fakes: Mapping[str, FakePipeline]) -> str:
    """Tell what is wrong at any of the fakes, each under its name; empty where all is well."""
    found = {name: fake.problems() for name, fake in fakes.items()}
    return "\n".join(f"fake {name}:\n{problem}" for name, problem in found.items() if problem)
