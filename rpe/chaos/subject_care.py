"""Handling a client under test that may do anything: none of its mistakes may harm the run."""

from __future__ import annotations

from contextlib import suppress

from rpe.chaos.recorder import Recorder
from rpe.chaos.subject import Subject, SubjectContext, SubjectFactory, SubjectOperation
from rpe.clock import Clock
from rpe.data import RuntimeData

__all__ = ["close", "drained", "warm_up"]

CLOSE_TIMEOUT_S = 5.0
"""How long the client may take to close."""

DRAIN_TIMEOUT_S = 1.0
"""How long the client's own count of attempts may take to fall to zero after the last operation."""

WARM_UP_TIMEOUT_S = 1.0
"""How long one call of the warm-up may take."""


async def warm_up(
    factory: SubjectFactory, context: SubjectContext, input_name: str, data: RuntimeData, *, clock: Clock
) -> None:
    """Make a client, execute once per endpoint, and close it.

    Libraries start threads, open wake-up descriptors and fill caches at their first use, and
    keep them. Done once before the baseline is taken, these are in it, and what the real
    client leaves beyond them is its own. What the calls come to does not matter here;
    errors of the factory are raised, because the run could not go on either.
    """
    subject = await factory(context)
    with suppress(Exception):
        async with clock.deadline(clock.now() + WARM_UP_TIMEOUT_S * len(context.endpoints)):
            for number in range(len(context.endpoints)):
                operation = SubjectOperation(f"warm-up-{number}", {input_name: data}, WARM_UP_TIMEOUT_S, True)
                with suppress(Exception):
                    await subject.execute(operation)
    with suppress(Exception):
        async with clock.deadline(clock.now() + CLOSE_TIMEOUT_S):
            await subject.close()


async def drained(subject: Subject, recorder: Recorder, clock: Clock) -> int | None:
    """Return the client's count of attempts under way, once it is zero or has had its time."""
    until_s = clock.now() + DRAIN_TIMEOUT_S
    try:
        while (count := subject.in_flight()) and clock.now() < until_s:
            await clock.sleep(0.02)
    except Exception as error:
        recorder.subject_error(f"in_flight raised {type(error).__name__}: {error}")
        return None
    return count


async def close(subject: Subject, recorder: Recorder, clock: Clock) -> None:
    """Close the client; that it fails to, or takes too long, is written down as its mistake."""
    try:
        async with clock.deadline(clock.now() + CLOSE_TIMEOUT_S):
            await subject.close()
    except TimeoutError:
        recorder.subject_error(f"close did not return within {CLOSE_TIMEOUT_S} s")
    except Exception as error:
        recorder.subject_error(f"close raised {type(error).__name__}: {error}")
