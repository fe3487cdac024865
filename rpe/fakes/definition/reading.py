"""Reading the answers of one method: every message, step and function is checked against the contract."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.descriptor import MethodDescriptor

from rpe.fakes.definition.descriptors import kind_of
from rpe.fakes.definition.details import read_details
from rpe.fakes.definition.functions import Function, FunctionFinder, FunctionWrong
from rpe.fakes.definition.headers import read_headers
from rpe.fakes.definition.matching import read_each_matcher, read_field_tests
from rpe.fakes.definition.messages import MessageTemplate, TextTemplate, read_message
from rpe.fakes.definition.model import Answer, Delayed, EachRule, Failure, Repeat, Step, Streamed
from rpe.fakes.definition.parts import (
    NO_DELAY,
    AnswerPlan,
    DelayPlan,
    EachPlan,
    FailurePlan,
    StepPlan,
    StreamedPlan,
)
from rpe.fakes.definition.paths import PathWrong
from rpe.fakes.definition.problems import Found
from rpe.lined_yaml import Path

__all__ = ["AnswerReader"]

_FITTING = {
    "unary": ("message", "call"),
    "server streaming": ("message", "messages", "call"),
    "client streaming": ("message", "call"),
    "bidirectional streaming": ("each", "each_rules", "script", "call"),
}
"""The answers that each kind of call can have, beside `error` and `sequence`."""


class AnswerReader:
    """Reads the answers of one method, and adds what is wrong with them to `problems`."""

    def __init__(self, method: MethodDescriptor, functions: FunctionFinder, problems: list[Found]) -> None:
        self._kind = kind_of(method)
        self._request = method.input_type
        self._response = method.output_type
        self._functions = functions
        self._problems = problems

    def answers(self, answer: Answer, path: Path) -> tuple[AnswerPlan, ...]:
        """Return the answers to one call after the other."""
        if answer.sequence is None:
            return (self._answer(answer, path),)
        return tuple(self._answer(item, (*path, "sequence", at)) for at, item in enumerate(answer.sequence))

    def _answer(self, answer: Answer, path: Path) -> AnswerPlan:
        kind = answer.kind
        fitting = _FITTING[self._kind]
        if kind not in (*fitting, "error"):
            told = f"{', '.join(fitting[:-1])} or {fitting[-1]}"
            text = f"this method is {self._kind}: its answer is {told}, error or sequence"
            self._problems.append(((*path, kind), text))
            return AnswerPlan("error")
        streamed: tuple[StreamedPlan, ...] = ()
        if answer.message is not None:
            streamed = self._one(answer.message, (*path, "message"))
        elif answer.messages is not None:
            streamed = self._streamed(answer.messages, (*path, "messages"))
        metadata, found = read_headers(answer.metadata, (*path, "metadata"))
        trailing, found_later = read_headers(answer.trailing_metadata, (*path, "trailing_metadata"))
        self._problems += found + found_later
        return AnswerPlan(
            "messages" if kind == "message" else kind,
            _delay(answer),
            streamed,
            self._each(answer, path),
            self._steps(answer.script or (), (*path, "script"), ""),
            self._function(answer, path),
            None if answer.error is None else self._failure(answer.error, (*path, "error")),
            answer.drip_s,
            metadata,
            trailing,
        )

    def _each(self, answer: Answer, path: Path) -> tuple[EachPlan, ...]:
        plans = [self._each_item(item, (*path, "each", at)) for at, item in enumerate(answer.each or ())]
        plans += [
            self._each_rule(rule, (*path, "each_rules", at))
            for at, rule in enumerate(answer.each_rules or ())
        ]
        return tuple(plans)

    def _each_item(self, item: Streamed, path: Path) -> EachPlan:
        matcher, found = read_each_matcher(item.when, self._request, (*path, "when"), self._functions)
        self._problems += found
        return EachPlan(matcher, _delay(item), self._one(item.message, (*path, "message")))

    def _each_rule(self, rule: EachRule, path: Path) -> EachPlan:
        matcher, found = read_each_matcher(rule.when, self._request, (*path, "when"), self._functions)
        self._problems += found
        answer, here = rule.answer, (*path, "answer")
        streamed: tuple[StreamedPlan, ...] = ()
        if answer.message is not None:
            streamed = self._one(answer.message, (*here, "message"))
        elif answer.messages is not None:
            streamed = self._streamed(answer.messages, (*here, "messages"))
        error = None if answer.error is None else self._failure(answer.error, (*here, "error"))
        then = tuple((item.scenario, item.state) for item in rule.then)
        return EachPlan(matcher, _delay(answer), streamed, error, then)

    def _function(self, answer: Answer, path: Path) -> Function | None:
        if answer.call is None:
            return None
        try:
            return self._functions.find(answer.call)
        except FunctionWrong as error:
            self._problems.append(((*path, "call"), str(error)))
            return None

    def _one(self, form: object, path: Path) -> tuple[StreamedPlan, ...]:
        message = self._message(form, path)
        return () if message is None else (StreamedPlan(message, NO_DELAY),)

    def _streamed(self, messages: Sequence[Streamed], path: Path) -> tuple[StreamedPlan, ...]:
        read: list[StreamedPlan] = []
        for at, item in enumerate(messages):
            message = self._message(item.message, (*path, at, "message"))
            if message is not None:
                read.append(StreamedPlan(message, _delay(item)))
        return tuple(read)

    def _message(self, form: object, path: Path) -> MessageTemplate | None:
        message, found = read_message(form, self._response, self._request, path)
        self._problems += found
        return message

    def _failure(self, failure: Failure, path: Path) -> FailurePlan:
        try:
            text = TextTemplate.parse(failure.message, self._request)
        except PathWrong as error:
            self._problems.append(((*path, "message"), str(error)))
            text = TextTemplate(())
        details, found = read_details(failure.details, self._request, (*path, "details"))
        self._problems += found
        return FailurePlan(failure.code, text, _delay(failure), details)

    def _steps(self, steps: Sequence[Step], path: Path, above: str) -> tuple[StepPlan, ...]:
        return tuple(self._step(step, (*path, at), f"{above}{at}") for at, step in enumerate(steps))

    def _step(self, step: Step, path: Path, at: str) -> StepPlan:
        if step.expect is not None:
            tests, found = read_field_tests(step.expect, self._request, (*path, "expect"))
            self._problems += found
            return StepPlan(at, expect=tests, any=step.any, timeout_s=step.timeout_s)
        if step.send is not None:
            return StepPlan(at, send=self._message(step.send, (*path, "send")))
        if step.repeat is not None:
            return self._repeat(step.repeat, (*path, "repeat", "steps"), at)
        if step.abort is not None:
            return StepPlan(at, abort=self._failure(step.abort, (*path, "abort")))
        if step.echo and self._request.full_name != self._response.full_name:
            text = f"requests have another type than answers here: send a {self._response.full_name}"
            self._problems.append(((*path, "echo"), text))
        pause = None
        if step.pause_s is not None or step.pause is not None:
            pause = DelayPlan(step.pause_s or 0.0, step.pause)
        return StepPlan(at, echo=bool(step.echo), pause=pause, drain=bool(step.drain), close=bool(step.close))

    def _repeat(self, repeat: Repeat, path: Path, at: str) -> StepPlan:
        return StepPlan(at, repeat=self._steps(repeat.steps, path, f"{at}."), times=repeat.times)


def _delay(part: Delayed) -> DelayPlan:
    return DelayPlan(part.delay_s, part.delay) if part.delay_s or part.delay else NO_DELAY
