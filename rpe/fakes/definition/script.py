"""Playing the script of a bidirectional call, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.message import Message

from rpe.fakes.definition.ending import CallEnded
from rpe.fakes.definition.parts import StepPlan

if TYPE_CHECKING:
    from rpe.fakes.definition.conversation import Conversation

__all__ = ["play"]


class _CallerEnded(Exception):
    """The caller ended its stream where a script that repeats until then expects a request."""


async def play(conversation: Conversation, steps: tuple[StepPlan, ...]) -> None:
    """Play a script to its end. Raises CallEnded where it ends the call, or a request is another one."""
    await _play(conversation, steps, repeating=False)


async def _play(conversation: Conversation, steps: tuple[StepPlan, ...], *, repeating: bool) -> bool:
    """Play steps. Returns False where one of them closes the call.

    Raises _CallerEnded where they are `repeating` until the caller's end, and that has come.
    """
    for step in steps:
        if step.close:
            return False
        if step.expect is not None:
            await _expect(conversation, step, repeating=repeating)
        elif step.send is not None:
            await conversation.send_filled(step.send)
        elif step.echo:
            await conversation.send(conversation.last)
        elif step.pause is not None:
            await conversation.pause(step.pause)
        elif step.abort is not None:
            await conversation.fail(step.abort)
        elif step.drain:
            while await conversation.next() is not None:
                pass
        elif not await _repeat(conversation, step, repeating=repeating):
            return False
    return True


async def _repeat(conversation: Conversation, step: StepPlan, *, repeating: bool) -> bool:
    if step.times is not None:
        for _ in range(step.times):
            if not await _play(conversation, step.repeat, repeating=repeating):
                return False
        return True
    try:
        while await _play(conversation, step.repeat, repeating=True):
            pass
    except _CallerEnded:
        return True
    return False


async def _expect(conversation: Conversation, step: StepPlan, *, repeating: bool) -> None:
    """Take the request that a step expects, in time."""
    if step.timeout_s is None:
        await _take(conversation, step, repeating=repeating)
        return
    clock = conversation.method.clock
    try:
        async with clock.deadline(clock.now() + step.timeout_s):
            await _take(conversation, step, repeating=repeating)
    except TimeoutError:
        told = f"rpe fake: step {step.at} of the script waited {step.timeout_s:g} s for its request"
        raise CallEnded("ABORTED", told) from None


async def _take(conversation: Conversation, step: StepPlan, *, repeating: bool) -> None:
    """Take the request that a step expects, passing others over where `any` one will do."""
    while True:
        request = await conversation.next()
        missed = _miss(step, request)
        if missed is None:
            return
        if request is None and repeating:
            raise _CallerEnded
        if request is None or not step.any:
            told = f"rpe fake: step {step.at} of the script expects more: {missed}"
            raise CallEnded("FAILED_PRECONDITION", told)


def _miss(step: StepPlan, request: Message | None) -> str | None:
    if request is None:
        return "the caller ended its stream"
    return next((miss for test in step.expect or () if (miss := test.miss(request))), None)
