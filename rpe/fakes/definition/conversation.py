"""One call while it runs: requests are taken, a rule is chosen, and its answer is sent."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError, Message

from rpe.fakes.definition.calling import call_function
from rpe.fakes.definition.calls import Call, chance
from rpe.fakes.definition.ending import Begin, CallEnded, Metadata, Outgoing, Send, Take
from rpe.fakes.definition.functions import CallInfo
from rpe.fakes.definition.messages import MessageTemplate, TemplateFailed
from rpe.fakes.definition.parts import NO_DELAY, AnswerPlan, DelayPlan, FailurePlan, StreamedPlan
from rpe.fakes.definition.script import play

if TYPE_CHECKING:
    from rpe.fakes.definition.answering import MethodServer

__all__ = ["Conversation"]


class Conversation:
    """One call of a method.

    last: the last request that was taken; an empty one before the first. info: what functions are
    told. trailing: the metadata to send with the status, once an answer has been chosen.
    """

    def __init__(
        self, method: MethodServer, call: Call, info: CallInfo, take: Take, send: Send, begin: Begin | None
    ) -> None:
        self.method = method
        self.call = call
        self.info = info
        self.last: Message = method.plan.request()
        self.trailing: Metadata = ()
        self._take = take
        self._send = send
        self._begin = begin
        self._first: Message | None = None  # taken to choose a rule, and not yet answered
        self._taken = 0
        self._rng: random.Random | None = None
        self._drip_s = 0.0
        self._next_s = 0.0  # when the next message may go, by the fake's clock

    async def run(self) -> None:
        """Answer the call. Raises CallEnded, and FunctionFailed where a function of the definition did."""
        plan = self.method.plan
        requests: list[Message] = []
        if plan.kind != "bidirectional streaming":
            while (request := await self.next()) is not None:
                requests.append(request)
        elif plan.needs_request:
            self._first = await self.next()
            requests = [] if self._first is None else [self._first]
        answer = self.method.choose(self.call, requests, self.info)
        self.trailing = answer.trailing_metadata
        self._drip_s = answer.drip_s
        await self.pause(answer.delay)
        if answer.metadata and self._begin is not None:
            await self._begin(answer.metadata)
        await self._answer(answer, requests)
        if answer.error is not None:
            await self.fail(answer.error)

    async def next(self) -> Message | None:
        """Take the next request; None where the caller has ended its stream."""
        request, self._first = self._first, None
        if request is None:
            wire = await self._take()
            if wire is None:
                return None
            try:
                request = self.method.plan.request.FromString(wire)
            except DecodeError as error:
                raise CallEnded("INTERNAL", f"rpe fake: the request cannot be parsed: {error}") from error
            self._taken += 1
            if self.method.keeps:
                self.call.request_messages.append(request)
        self.last = request
        return request

    async def send(self, message: Message, wire: bytes | None = None) -> None:
        """Send a message, of which the bytes may be known, and note it before."""
        if self._drip_s:
            now_s = self.method.clock.now()
            if now_s < self._next_s:
                await self.method.clock.sleep_until(self._next_s)
            self._next_s = max(now_s, self._next_s) + self._drip_s
        if self.method.keeps:
            self.call.answer_messages.append(message)
        outgoing: Outgoing = message if wire is None else wire
        await self._send(outgoing)

    async def send_filled(self, template: MessageTemplate) -> None:
        """Send a message of the definition, filled from the last request."""
        try:
            message = template.message(self.last)
        except TemplateFailed as error:
            raise CallEnded("INTERNAL", f"rpe fake: {error}") from error
        await self.send(message, None if template.fixed is None else template.fixed_bytes)

    async def pause(self, delay: DelayPlan) -> None:
        """Wait by the fake's clock; a time that is drawn is noted in the journal before."""
        delay_s = delay.fixed_s
        if delay.drawn is not None:
            if self._rng is None:
                self._rng = chance(self.method.seed, self.call)
            delay_s = delay.drawn.draw_s(self._rng)
            self.call.delays_s += (delay_s,)
        if delay_s > 0:
            await self.method.clock.sleep(delay_s)

    async def fail(self, failure: FailurePlan) -> None:
        """End the call with a status."""
        await self.pause(failure.delay)
        try:
            ended = failure.ended(self.last)
        except TemplateFailed as error:
            raise CallEnded("INTERNAL", f"rpe fake: {error}") from error
        raise ended

    async def _answer(self, answer: AnswerPlan, requests: list[Message]) -> None:
        if answer.kind == "messages":
            await self._stream(answer.streamed)
        elif answer.kind == "each":
            while (request := await self.next()) is not None:
                await self._each(answer, request)
        elif answer.kind == "each_rules":
            while (request := await self.next()) is not None:
                await self._first_of(answer, request)
        elif answer.kind == "script":
            await play(self, answer.script)
        elif answer.function is not None:
            await call_function(self, answer.function, requests)

    async def _stream(self, messages: tuple[StreamedPlan, ...]) -> None:
        for item in messages:
            if item.delay is not NO_DELAY:
                await self.pause(item.delay)
            await self.send_filled(item.message)

    async def _each(self, answer: AnswerPlan, request: Message) -> None:
        for item in answer.each:
            if item.matcher.miss(request, self._taken, self.info) is None:
                await self.pause(item.delay)
                await self._stream(item.streamed)

    async def _first_of(self, answer: AnswerPlan, request: Message) -> None:
        misses = []
        for at, rule in enumerate(answer.each):
            missed = rule.matcher.miss(request, self._taken, self.info)
            if missed is None:
                self.method.follow(rule.then)
                await self.pause(rule.delay)
                await self._stream(rule.streamed)
                if rule.error is not None:
                    await self.fail(rule.error)
                return
            misses.append(f"rule {at}: {missed}")
        told = f"rpe fake: no rule of each_rules fits message {self._taken}; {'; '.join(misses)}"
        raise CallEnded("UNIMPLEMENTED", told)
