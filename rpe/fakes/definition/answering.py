"""Answering the calls of one method: choose a rule, send what it says, note the whole call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message

from rpe.clock import Clock
from rpe.fakes.definition.calls import Call, CallJournal
from rpe.fakes.definition.messages import MessageTemplate, TemplateFailed
from rpe.fakes.definition.plan import AnswerPlan, FailurePlan, MethodPlan, StepPlan, StreamedPlan

__all__ = ["MethodServer"]

_LONGEST_TEXT = 2_000
"""Of the text of a status: it travels in a header, and those are bounded."""

Context = grpc.aio.ServicerContext[Any, Any]
Outgoing = Message | bytes
"""What is sent: a message, or the bytes of one that is always the same."""
Send = Callable[[Outgoing], Awaitable[None]]
Take = Callable[[], Awaitable[bytes | None]]
"""Takes the bytes of the next request; None where the caller has ended its stream."""


class _Ended(Exception):
    """The call ends with a status that is not OK."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text[:_LONGEST_TEXT]


class MethodServer:
    """Serves one method by its rules. Which answer of a sequence is next is kept here."""

    def __init__(self, service: str, plan: MethodPlan, journal: CallJournal, clock: Clock) -> None:
        self._service = service
        self._plan = plan
        self._journal = journal
        self._clock = clock
        self._given = [0] * len(plan.rules)

    def reset(self) -> None:
        """Begin every sequence anew."""
        self._given = [0] * len(self._plan.rules)

    def handler(self) -> grpc.RpcMethodHandler[Any, Any]:
        """Return the handler that gRPC serves the method with."""
        served: dict[str, tuple[Any, Any]] = {
            "unary": (grpc.unary_unary_rpc_method_handler, self._unary_unary),
            "server streaming": (grpc.unary_stream_rpc_method_handler, self._unary_stream),
            "client streaming": (grpc.stream_unary_rpc_method_handler, self._stream_unary),
            "bidirectional streaming": (grpc.stream_stream_rpc_method_handler, self._stream_stream),
        }
        make, behaviour = served[self._plan.kind]
        # Requests come as bytes: one that cannot be parsed is a call of which the journal tells, too.
        made: grpc.RpcMethodHandler[Any, Any] = make(behaviour, response_serializer=_serialized)
        return made

    async def _unary_unary(self, request: bytes, context: Context) -> Outgoing:
        return await self._one_answer(_once(request), context)

    async def _stream_unary(self, requests: object, context: Context) -> Outgoing:
        return await self._one_answer(_reading(context), context)

    async def _unary_stream(self, request: bytes, context: Context) -> None:
        await self._serve(_once(request), context, context.write)

    async def _stream_stream(self, requests: object, context: Context) -> None:
        await self._serve(_reading(context), context, context.write)

    async def _one_answer(self, take: Take, context: Context) -> Outgoing:
        answers: list[Outgoing] = []

        async def keep(message: Outgoing) -> None:
            answers.append(message)

        await self._serve(take, context, keep)
        return answers[0]

    async def _serve(self, take: Take, context: Context, send: Send) -> None:
        metadata: Any = context.invocation_metadata() or ()
        call = self._journal.begin(
            self._service, self._plan.name, ((str(key), value) for key, value in metadata)
        )
        try:
            await _Conversation(self, call, take, send).run()
        except _Ended as ended:
            self._journal.end(call, ended.code, ended.text)
            await context.abort(grpc.StatusCode[ended.code], ended.text)
        except asyncio.CancelledError:
            self._journal.end(call, "CANCELLED", "the caller gave up, or the fake was stopped")
            raise
        except Exception as error:
            self._journal.end(call, "UNKNOWN", str(error))
            raise
        self._journal.end(call, "OK")

    @property
    def plan(self) -> MethodPlan:
        """The method that is served."""
        return self._plan

    @property
    def keeps(self) -> bool:
        """Whether the messages of calls are kept."""
        return self._journal.keeps

    async def pause(self, delay_s: float) -> None:
        """Wait by the fake's clock."""
        if delay_s > 0:
            await self._clock.sleep(delay_s)

    def choose(self, call: Call, requests: list[Message]) -> AnswerPlan:
        """Return the answer of the first rule that fits. Raises _Ended with what each rule misses."""
        misses = []
        for at, rule in enumerate(self._plan.rules):
            missed = rule.matcher.miss(requests, call.metadata, call.number)
            if missed is None:
                call.rule = at
                given = self._given[at]
                self._given[at] += 1
                return rule.answers[min(given, len(rule.answers) - 1)]
            misses.append(f"rule {at}: {missed}")
        name = f"{self._service}/{self._plan.name}"
        if not misses:
            raise _Ended("UNIMPLEMENTED", f"rpe fake: {name} has no rules")
        raise _Ended("UNIMPLEMENTED", f"rpe fake: no rule of {name} fits this call; {'; '.join(misses)}")


class _Conversation:
    """One call while it runs."""

    def __init__(self, method: MethodServer, call: Call, take: Take, send: Send) -> None:
        self._method = method
        self._call = call
        self._take = take
        self._send = send
        self._last: Message = method.plan.request()
        self._first: Message | None = None  # taken to choose a rule, and not yet answered

    async def run(self) -> None:
        plan = self._method.plan
        taken: list[Message] = []
        if plan.kind != "bidirectional streaming":
            while (request := await self._next()) is not None:
                taken.append(request)
        elif plan.needs_request:
            self._first = await self._next()
            taken = [] if self._first is None else [self._first]
        answer = self._method.choose(self._call, taken)
        await self._method.pause(answer.delay_s)
        if answer.kind == "each":
            while (request := await self._next()) is not None:
                await self._stream(answer.streamed)
        await self._script(answer.script)
        if answer.kind == "messages":
            await self._stream(answer.streamed)
        if answer.error is not None:
            await self._fail(answer.error)

    async def _next(self) -> Message | None:
        """Take the next request; None where the caller has ended its stream."""
        request, self._first = self._first, None
        if request is None:
            wire = await self._take()
            if wire is None:
                return None
            try:
                request = self._method.plan.request.FromString(wire)
            except DecodeError as error:
                raise _Ended("INTERNAL", f"rpe fake: the request cannot be parsed: {error}") from error
            if self._method.keeps:
                self._call.request_messages.append(request)
        self._last = request
        return request

    async def _stream(self, messages: tuple[StreamedPlan, ...]) -> None:
        for item in messages:
            if item.delay_s > 0:
                await self._method.pause(item.delay_s)
            await self._send(self._noted(item.message))

    def _noted(self, template: MessageTemplate) -> Outgoing:
        try:
            message = template.message(self._last)
        except TemplateFailed as error:
            raise _Ended("INTERNAL", f"rpe fake: {error}") from error
        if self._method.keeps:
            self._call.answer_messages.append(message)
        return message if template.fixed is None else template.fixed_bytes

    async def _fail(self, failure: FailurePlan) -> None:
        await self._method.pause(failure.delay_s)
        try:
            text = failure.message.text(self._last)
        except TemplateFailed as error:
            raise _Ended("INTERNAL", f"rpe fake: {error}") from error
        raise _Ended(failure.code, text)

    async def _script(self, steps: tuple[StepPlan, ...]) -> None:
        for at, step in enumerate(steps):
            if step.close:
                return
            if step.expect is not None:
                await self._expect(step, at)
            elif step.send is not None:
                await self._send(self._noted(step.send))
            elif step.pause_s is not None:
                await self._method.pause(step.pause_s)
            elif step.abort is not None:
                await self._fail(step.abort)
            else:
                while await self._next() is not None:
                    pass

    async def _expect(self, step: StepPlan, at: int) -> None:
        request = await self._next()
        if request is None:
            missed: str | None = "the caller ended its stream"
        else:
            missed = next((miss for test in step.expect or () if (miss := test.miss(request))), None)
        if missed is not None:
            raise _Ended("FAILED_PRECONDITION", f"rpe fake: step {at} of the script expects more: {missed}")


def _once(request: bytes) -> Take:
    waiting = [request]

    async def take() -> bytes | None:
        return waiting.pop() if waiting else None

    return take


def _reading(context: Context) -> Take:
    """Read by the context: an iterator that is left before its end is complained about when it is deleted."""

    async def take() -> bytes | None:
        request = await context.read()
        return None if request is grpc.aio.EOF else request

    return take


def _serialized(message: Outgoing) -> bytes:
    return message if isinstance(message, bytes) else message.SerializeToString()
