"""A client under test may do anything: none of it may harm the run."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rpe.chaos import subject_care
from rpe.chaos.history import History, HistoryWriter
from rpe.chaos.recorder import Recorder
from rpe.chaos.subject import ClientRequest, SubjectContext, SubjectOperation
from rpe.chaos.subject_care import close, drained, warm_up
from rpe.clock import SYSTEM_CLOCK
from rpe.data import RuntimeData, Text
from rpe.manifest.model import Manifest
from tests.support.chaos import EchoSubject

CONTEXT = SubjectContext(
    endpoints={"a": "127.0.0.1:1", "b": "127.0.0.1:2"},
    transport="grpc",
    request=ClientRequest(),
    manifest=Manifest.single("echo", node_type="Echo"),
    seed=0,
    report=lambda event, fields: None,
)


class Rude(EchoSubject):
    """Does in each call what the test asks for: raise it, hang, or return it."""

    def __init__(self, **doings: Any) -> None:
        super().__init__(CONTEXT)
        self.doings = doings
        self.operations: list[SubjectOperation] = []
        self.closed = 0

    async def _do(self, what: str) -> None:
        doing = self.doings.get(what)
        if isinstance(doing, Exception):
            raise doing
        if doing == "hang":
            await asyncio.sleep(30)

    async def execute(self, operation: SubjectOperation) -> Mapping[str, RuntimeData]:
        self.operations.append(operation)
        await self._do("execute")
        return await super().execute(operation)

    def in_flight(self) -> int | None:
        doing = self.doings.get("in_flight", 0)
        if isinstance(doing, Exception):
            raise doing
        if isinstance(doing, list):
            return int(doing.pop(0))
        return None if doing is None else int(doing)

    async def close(self) -> None:
        self.closed += 1
        await self._do("close")


@pytest.fixture
def recorder(tmp_path: Path) -> Any:
    with HistoryWriter(tmp_path / "history.jsonl", SYSTEM_CLOCK, 0.0) as writer:
        yield Recorder(writer, SYSTEM_CLOCK, {})


def mistakes(tmp_path: Path) -> list[str]:
    return [mistake.message for mistake in History.load(tmp_path / "history.jsonl").subject_errors]


@pytest.mark.parametrize(
    "doings", [{}, {"execute": ZeroDivisionError()}, {"close": ZeroDivisionError()}, {"execute": "hang"}]
)
async def test_a_warm_up_calls_each_endpoint_and_closes_whatever_comes(
    doings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject_care, "WARM_UP_TIMEOUT_S", 0.01)
    made: list[Rude] = []

    async def factory(context: SubjectContext) -> Rude:
        made.append(Rude(**doings))
        return made[0]

    await warm_up(factory, CONTEXT, "echo", Text("hello"), clock=SYSTEM_CLOCK)
    assert made[0].closed == 1
    assert len(made[0].operations) == (1 if doings.get("execute") == "hang" else 2)
    assert all(operation.inputs == {"echo": Text("hello")} for operation in made[0].operations)


async def test_a_factory_that_fails_is_not_hidden() -> None:
    async def factory(context: SubjectContext) -> Rude:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await warm_up(factory, CONTEXT, "echo", Text("hello"), clock=SYSTEM_CLOCK)


@pytest.mark.parametrize(
    ("doings", "mistake"),
    [({}, None), ({"close": ZeroDivisionError("oh")}, "close raised"), ({"close": "hang"}, "did not return")],
)
async def test_closing_is_bounded_and_its_mistakes_are_told(
    doings: dict[str, Any],
    mistake: str | None,
    recorder: Recorder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subject_care, "CLOSE_TIMEOUT_S", 0.02)
    await close(Rude(**doings), recorder, SYSTEM_CLOCK)
    told = mistakes(tmp_path)
    assert len(told) == (0 if mistake is None else 1)
    assert mistake is None or mistake in told[0]


@pytest.mark.parametrize(
    ("count", "found"), [(0, 0), (None, None), ([3, 2, 0], 0), (4, 4), (ZeroDivisionError(), None)]
)
async def test_the_clients_own_count_has_time_to_fall_to_zero(
    count: Any, found: int | None, recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject_care, "DRAIN_TIMEOUT_S", 0.05)
    assert await drained(Rude(in_flight=count), recorder, SYSTEM_CLOCK) == found
    assert len(mistakes(tmp_path)) == isinstance(count, Exception)
