"""What the pipeline of a client answers while nothing is wrong: what its answers under faults are held to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from rpe.chaos.hashes import data_hash
from rpe.chaos.subject import Subject, SubjectContext, SubjectFactory, SubjectOperation
from rpe.clock import Clock
from rpe.data import RuntimeData
from rpe.errors import ConfigurationError

__all__ = ["learn_answers"]

AT_ONCE = 2
"""How many answers are asked for at once: it is quicker, and starts the threads that a run will need."""

TIMEOUT_S = 20.0
TRIES = 8
"""How long one answer may take here, and how often it is asked for: engines load their models, which
may take longer than the timeouts of the pipeline allow, and nothing is measured yet."""


async def learn_answers(
    factory: SubjectFactory,
    context: SubjectContext,
    input_name: str,
    pieces: Sequence[RuntimeData],
    *,
    clock: Clock,
) -> dict[str, str]:
    """Return the hash of the answer to each piece, by the hash of the request, from a client of its own.

    Raises ConfigurationError where the pipeline does not answer although nothing is wrong.
    """
    answers: dict[str, str] = {}
    subject = await factory(context)
    try:
        slots = asyncio.Semaphore(AT_ONCE)

        async def learn(number: int, piece: RuntimeData) -> None:
            inputs = {input_name: piece}
            operation = SubjectOperation(f"reference-{number}", inputs, TIMEOUT_S, True)
            async with slots:
                outputs = await _answer(subject, operation, clock)
            asked, answered = data_hash(inputs), data_hash(outputs)
            if asked is None or answered is None:
                raise ConfigurationError("the pipeline gives no output, so there is nothing to compare")
            answers[asked] = answered

        async with asyncio.TaskGroup() as tasks:
            for number, piece in enumerate(pieces):
                tasks.create_task(learn(number, piece), name=f"reference-{number}")
    except* ConfigurationError as errors:
        raise errors.exceptions[0] from None
    finally:
        await subject.close()
    return answers


async def _answer(subject: Subject, operation: SubjectOperation, clock: Clock) -> Mapping[str, RuntimeData]:
    tries = 0
    while True:
        tries += 1
        try:
            async with clock.deadline(clock.now() + TIMEOUT_S):
                return await subject.execute(operation)
        except Exception as error:
            if tries < TRIES:
                continue
            raise ConfigurationError(
                f"the pipeline does not answer although nothing is wrong: {error}",
                hint="run it by itself, and mend it before any fault is added",
            ) from error
