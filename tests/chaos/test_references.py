"""What a pipeline answers while nothing is wrong is learned from a client of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from rpe.chaos import references
from rpe.chaos.references import learn_answers
from rpe.chaos.subject import ClientRequest, SubjectContext, SubjectFactory, SubjectOperation
from rpe.clock import SYSTEM_CLOCK
from rpe.data import RuntimeData, Text, content_hash
from rpe.errors import ConfigurationError
from rpe.manifest.model import Manifest
from tests.support.chaos import EchoSubject

CONTEXT = SubjectContext(
    endpoints={},
    transport="grpc",
    request=ClientRequest(),
    manifest=Manifest.single("echo", node_type="Echo"),
    seed=0,
    report=lambda event, fields: None,
    pipeline=True,
)


class Shouting(EchoSubject):
    """Answers in capitals, after as many failures as it is told to begin with."""

    def __init__(self, failures: int = 0, *, silent: bool = False, hangs: bool = False) -> None:
        super().__init__(CONTEXT)
        self.failures = failures
        self.silent = silent
        self.hangs = hangs
        self.reached = asyncio.Event()
        self.operations: list[SubjectOperation] = []
        self.closed = 0
        self.running = self.most_at_once = 0

    async def execute(self, operation: SubjectOperation) -> Mapping[str, RuntimeData]:
        self.operations.append(operation)
        self.reached.set()
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            return await self._answer(operation)
        finally:
            self.running -= 1

    async def _answer(self, operation: SubjectOperation) -> Mapping[str, RuntimeData]:
        await asyncio.sleep(0)
        if self.hangs:
            await asyncio.Event().wait()
        if len(self.operations) <= self.failures:
            raise RuntimeError("the model is being loaded")
        (said,) = operation.inputs.values()
        assert isinstance(said, Text)
        return {} if self.silent else {"shout": Text(said.text.upper())}

    async def close(self) -> None:
        self.closed += 1


def factory(subject: Shouting) -> SubjectFactory:
    async def create(context: SubjectContext) -> Shouting:
        assert context is CONTEXT
        return subject

    return create


async def learned(subject: Shouting, *pieces: str) -> dict[str, str]:
    said = [Text(piece) for piece in pieces]
    return await learn_answers(factory(subject), CONTEXT, "echo", said, clock=SYSTEM_CLOCK)


async def test_each_answer_is_known_by_what_was_asked() -> None:
    subject = Shouting()
    expected = {content_hash(Text(said)): content_hash(Text(said.upper())) for said in ("one", "two")}
    assert await learned(subject, "one", "two") == expected
    assert [operation.op for operation in subject.operations] == ["reference-0", "reference-1"]
    assert all(operation.repeatable and "echo" in operation.inputs for operation in subject.operations)
    assert subject.closed == 1


async def test_only_a_few_answers_are_asked_for_at_once() -> None:
    subject = Shouting()
    assert len(await learned(subject, *"abcdef")) == 6
    assert subject.most_at_once == references.AT_ONCE


async def test_an_answer_is_asked_for_again_while_models_load() -> None:
    subject = Shouting(failures=references.TRIES - 1)
    assert await learned(subject, "one") == {content_hash(Text("one")): content_hash(Text("ONE"))}
    assert len(subject.operations) == references.TRIES
    assert subject.closed == 1


async def test_a_pipeline_that_never_answers_is_no_reference() -> None:
    subject = Shouting(failures=100)
    with pytest.raises(ConfigurationError, match="nothing is wrong: the model is being loaded"):
        await learned(subject, "one")
    assert len(subject.operations) == references.TRIES
    assert subject.closed == 1


async def test_one_that_hangs_is_none_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "TIMEOUT_S", 0.01)
    subject = Shouting(hangs=True)
    with pytest.raises(ConfigurationError, match="does not answer"):
        await learned(subject, "one")
    assert len(subject.operations) == references.TRIES
    assert subject.closed == 1


async def test_no_output_is_nothing_to_compare_with() -> None:
    subject = Shouting(silent=True)
    with pytest.raises(ConfigurationError, match="no output"):
        await learned(subject, "one")
    assert subject.closed == 1


async def test_it_is_closed_where_the_learning_is_cancelled_too() -> None:
    subject = Shouting(hangs=True)
    learning = asyncio.create_task(learned(subject, "one"))
    await subject.reached.wait()
    learning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await learning
    assert subject.closed == 1
