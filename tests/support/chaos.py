"""Small worlds, clients and cells for tests of the harness itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from rpe.chaos.scenario.loading import parse
from rpe.chaos.scenario.matrix import Cell, cells
from rpe.chaos.subject import SubjectContext, SubjectOperation, SubjectStream
from rpe.chaos.world.world import Evidence, JournalLine
from rpe.data import RuntimeData
from rpe.errors import ConnectFailed
from rpe.faults.actions import Action

__all__ = [
    "EchoSubject",
    "Events",
    "RecordingWorld",
    "cell_of",
    "create_chatty",
    "create_crashing",
    "create_echo",
    "create_silent",
]

SHORT = """
name: short
proves: That the harness itself does what it says.
servers: {a: {}, b: {}}
client: {timeout_s: 0.5}
workload: {name: calls, kind: unary, rate_per_s: 50, input: text}
duration_s: 0.6
faults:
  - {name: slow, at_s: 0.1, for_s: 0.15, latency: {on: [a], latency_s: 0.02}}
"""


def cell_of(text: str = SHORT, **changes: Any) -> Cell:
    """Return the first cell of a scenario; `changes` replace whole keys of it."""
    scenario = parse(text)
    if changes:
        data = {**scenario.model_dump(mode="json", exclude_unset=True), **changes}
        scenario = type(scenario).model_validate(data)
    return cells(scenario, "tests")[0]


class Events(list[dict[str, Any]]):
    """Takes events as a history does, and keeps them in memory."""

    def __call__(self, event: str, **fields: Any) -> None:
        self.append({"e": event, **fields})

    @property
    def names(self) -> list[str]:
        return [line["e"] for line in self]

    def of(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self if line["e"] == event]


class RecordingWorld:
    """A world of names only, each call to which can be made to hang or to fail."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.in_force: dict[str, Action] = {}
        self.hang: set[tuple[str, str]] = set()
        self.fail: set[tuple[str, str]] = set()
        self.slow_s: dict[tuple[str, str], float] = {}
        self.reached = asyncio.Event()

    endpoints: Mapping[str, str] = {}

    async def _call(self, what: str, key: str) -> None:
        self.calls.append((what, key))
        await asyncio.sleep(self.slow_s.get((what, key), 0))
        if (what, key) in self.fail:
            raise ConnectFailed(f"{what} {key} refused")
        if (what, key) in self.hang:
            self.hang.discard((what, key))
            self.reached.set()
            await asyncio.sleep(30)

    async def apply(self, key: str, action: Action) -> bool:
        self.in_force[key] = action  # in force before the answer: what a lost answer looks like
        await self._call("apply", key)
        return True

    async def undo(self, key: str) -> None:
        await self._call("undo", key)
        self.in_force.pop(key, None)

    def active(self) -> tuple[str, ...]:
        return tuple(self.in_force)

    async def evidence(self, key: str) -> Evidence | None:
        return None

    async def journal(self) -> Sequence[JournalLine]:
        return ()


class EchoSubject:
    """A client that answers by itself and never touches a wire."""

    def __init__(self, context: SubjectContext) -> None:
        self.context = context

    async def execute(self, operation: SubjectOperation) -> Mapping[str, RuntimeData]:
        return {"output": next(iter(operation.inputs.values()))}

    async def open_stream(self, operation: SubjectOperation) -> SubjectStream:
        raise NotImplementedError

    def in_flight(self) -> int | None:
        return 0

    async def close(self) -> None: ...


async def create_echo(context: SubjectContext) -> EchoSubject:
    """A factory, for `--client tests.support.chaos:create_echo`."""
    return EchoSubject(context)


async def create_crashing(context: SubjectContext) -> EchoSubject:
    """A client whose library takes the whole process down."""
    import os
    import sys

    sys.stderr.write("a fatal flaw, token=s3cret\n")
    sys.stderr.flush()
    os._exit(139)


async def create_silent(context: SubjectContext) -> EchoSubject:
    """A client that blocks the event loop for ever."""
    import time

    time.sleep(600)  # noqa: ASYNC251 - that is the point
    raise AssertionError


async def create_chatty(context: SubjectContext) -> EchoSubject:
    """A client that prints what looks like progress."""
    import os
    import sys

    sys.stdout.write('{"cell": "forged", "phase": "done", "ok": 999}\n')
    sys.stdout.flush()
    os.write(1, b'{"cell": "forged", "phase": "done", "ok": 998}\n')
    return EchoSubject(context)
