"""Answers by a function in Python: one message, or a stream of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import aclosing
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from google.protobuf.json_format import ParseError
from google.protobuf.message import DecodeError, Message

from rpe.fakes.definition.functions import Function
from rpe.fakes.definition.messages import parsed

if TYPE_CHECKING:
    from rpe.fakes.definition.conversation import Conversation

__all__ = ["call_function"]


async def call_function(conversation: Conversation, function: Function, requests: list[Message]) -> None:
    """Answer a call by what a function returns or yields.

    It gets the request (a client stream: the list of them; a bidirectional call: an async iterator
    over them), and the CallInfo. What it gets and gives is copied, so that what it changes later
    does not change the journal. Raises CallEnded where it ended the call, and FunctionFailed.
    """
    kind = conversation.method.plan.kind
    if kind == "bidirectional streaming":
        async with aclosing(_coming(conversation)) as coming:
            await _stream(conversation, function, coming)
    elif kind == "server streaming":
        await _stream(conversation, function, _copy(requests[0]))
    else:
        copies = [_copy(request) for request in requests]
        result = function(copies if kind == "client streaming" else copies[0], conversation.info)
        if isawaitable(result):
            result = await function.result(result)
        await conversation.send(_message(conversation, function, result))


async def _stream(conversation: Conversation, function: Function, requests: Any) -> None:
    result = function(requests, conversation.info)
    if isawaitable(result):
        result = await function.result(result)
    if result is None:
        return
    if isinstance(result, Message | Mapping | str | bytes) or not (
        hasattr(result, "__aiter__") or isinstance(result, Iterable)
    ):
        raise function.unfit(f"returned a {type(result).__name__}; a stream is yielded, or a list")
    iterator = aiter(result) if hasattr(result, "__aiter__") else _waiting(result)
    end = object()
    try:
        while (answer := await function.step(iterator, end)) is not end:
            await conversation.send(_message(conversation, function, answer))
    finally:
        if hasattr(iterator, "aclose"):
            await function.result(iterator.aclose())


async def _coming(conversation: Conversation) -> AsyncGenerator[Message, None]:
    while (request := await conversation.next()) is not None:
        yield _copy(request)


async def _waiting(answers: Iterable[Any]) -> AsyncIterator[Any]:
    for answer in answers:
        yield answer


def _message(conversation: Conversation, function: Function, answer: Any) -> Message:
    """Return an answer as a message of the method's own type."""
    message = _as_message(conversation, function, answer)
    if not message.IsInitialized():
        raise function.unfit(f"returned a {message.DESCRIPTOR.full_name} without a field that it must have")
    return message


def _as_message(conversation: Conversation, function: Function, answer: Any) -> Message:
    kind = conversation.method.plan.response
    if isinstance(answer, kind):
        return _copy(answer)
    name = conversation.method.plan.contract.full_name
    try:
        if isinstance(answer, Message) and answer.DESCRIPTOR.full_name == name:
            return kind.FromString(answer.SerializeToString())  # of code that was generated elsewhere
        if isinstance(answer, Mapping):
            return parsed(kind, answer)
    except (ParseError, DecodeError) as error:
        raise function.unfit(f"returned what is no {name}: {error}") from error
    told = answer.DESCRIPTOR.full_name if isinstance(answer, Message) else type(answer).__name__
    raise function.unfit(f"returned a {told}, and the method answers with a {name}")


def _copy(message: Message) -> Message:
    copied = type(message)()
    copied.CopyFrom(message)
    return copied
