"""A definition joined with its descriptors: each answer checked, and ready to be sent."""

from __future__ import annotations

from dataclasses import dataclass, field

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from rpe.fakes.definition.descriptors import full_name, kind_of
from rpe.fakes.definition.matching import FieldTest, Matcher, read_field_tests, read_matcher
from rpe.fakes.definition.messages import MessageTemplate, TextTemplate, read_message
from rpe.fakes.definition.model import Answer, Definition, Failure, Step, Streamed
from rpe.fakes.definition.paths import PathWrong
from rpe.fakes.definition.problems import Found
from rpe.lined_yaml import Path

__all__ = [
    "AnswerPlan",
    "FailurePlan",
    "MethodPlan",
    "RulePlan",
    "ServicePlan",
    "StepPlan",
    "StreamedPlan",
    "read_plan",
]

_FITTING = {
    "unary": ("message",),
    "server streaming": ("message", "messages"),
    "client streaming": ("message",),
    "bidirectional streaming": ("each", "script"),
}
"""The answers that each kind of call can have, beside `error` and `sequence`."""


@dataclass(frozen=True, slots=True)
class FailurePlan:
    """A status to end with, after `delay_s` seconds; its text may be filled from the request."""

    code: str
    message: TextTemplate
    delay_s: float


@dataclass(frozen=True, slots=True)
class StreamedPlan:
    """One message of a stream, and the seconds before it."""

    message: MessageTemplate
    delay_s: float


@dataclass(frozen=True, slots=True)
class StepPlan:
    """One step of a script: the one part that is not None."""

    expect: tuple[FieldTest, ...] | None = None
    send: MessageTemplate | None = None
    pause_s: float | None = None
    drain: bool = False
    abort: FailurePlan | None = None
    close: bool = False


@dataclass(frozen=True, slots=True)
class AnswerPlan:
    """One answer. `kind` is messages, each, script or error; a single message is a stream of one."""

    kind: str
    delay_s: float = 0.0
    streamed: tuple[StreamedPlan, ...] = ()
    script: tuple[StepPlan, ...] = ()
    error: FailurePlan | None = None


@dataclass(slots=True)
class RulePlan:
    """A rule: whom it is for, and its answers, one for each call in turn; the last one stays."""

    matcher: Matcher
    answers: tuple[AnswerPlan, ...]


@dataclass(frozen=True, slots=True)
class MethodPlan:
    """A method with its rules, in the order in which they are tried."""

    name: str
    kind: str
    request: type[Message]
    rules: tuple[RulePlan, ...]
    needs_request: bool
    """Whether a rule looks at the first request of a bidirectional call."""


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """A service with its methods by name; those without rules are there as well."""

    name: str
    methods: dict[str, MethodPlan] = field(default_factory=dict)


def read_plan(definition: Definition, service: ServiceDescriptor) -> tuple[ServicePlan, list[Found]]:
    """Check a definition against its service. Returns the plan, and every mistake with its path."""
    plan = ServicePlan(full_name(service))
    problems: list[Found] = []
    methods: dict[str, MethodDescriptor] = dict(service.methods_by_name)
    for name in definition.methods:
        if name not in methods:
            known = ", ".join(methods) or "none"
            problems.append((("methods", name), f"{plan.name} has no such method; its methods: {known}"))
    for name, method in methods.items():
        reader = _MethodReader(method, problems)
        rules: list[RulePlan] = []
        for at, rule in enumerate(definition.methods.get(name, ())):
            path: Path = ("methods", name, at)
            matcher, found = read_matcher(rule.when, method.input_type, (*path, "when"))
            problems += found
            if rule.when.on is not None and reader.kind != "client streaming":
                problems.append(
                    ((*path, "when", "on"), f"on is for client streams; this method is {reader.kind}")
                )
            rules.append(RulePlan(matcher, reader.answers(rule.answer, (*path, "answer"))))
        plan.methods[name] = MethodPlan(
            name,
            reader.kind,
            GetMessageClass(method.input_type),
            tuple(rules),
            any(rule.matcher.fields for rule in rules),
        )
    return plan, problems


class _MethodReader:
    """Reads the answers of one method, and notes what is wrong with them."""

    def __init__(self, method: MethodDescriptor, problems: list[Found]) -> None:
        self.kind = kind_of(method)
        self._method = method
        self._problems = problems

    def answers(self, answer: Answer, path: Path) -> tuple[AnswerPlan, ...]:
        if answer.sequence is None:
            return (self._answer(answer, path),)
        return tuple(self._answer(item, (*path, "sequence", at)) for at, item in enumerate(answer.sequence))

    def _answer(self, answer: Answer, path: Path) -> AnswerPlan:
        kind = answer.kind
        fitting = _FITTING[self.kind]
        if kind not in (*fitting, "error"):
            text = f"this method is {self.kind}: its answer is {' or '.join(fitting)}, error or sequence"
            self._problems.append(((*path, kind), text))
            return AnswerPlan("error")
        error = None if answer.error is None else self._failure(answer.error, (*path, "error"))
        if answer.message is not None:
            streamed = self._streamed([Streamed(message=answer.message)], path, single=True)
            return AnswerPlan("messages", answer.delay_s, streamed)
        if kind in ("messages", "each"):
            given = answer.messages if kind == "messages" else answer.each
            return AnswerPlan(kind, answer.delay_s, self._streamed(given or [], (*path, kind)), error=error)
        if answer.script is not None:
            steps = (self._step(step, (*path, "script", at)) for at, step in enumerate(answer.script))
            return AnswerPlan("script", answer.delay_s, script=tuple(steps))
        return AnswerPlan("error", answer.delay_s, error=error)

    def _streamed(
        self, messages: list[Streamed], path: Path, *, single: bool = False
    ) -> tuple[StreamedPlan, ...]:
        read: list[StreamedPlan] = []
        for at, item in enumerate(messages):
            here: Path = (*path, "message") if single else (*path, at, "message")
            message = self._message(item.message, here)
            if message is not None:
                read.append(StreamedPlan(message, item.delay_s))
        return tuple(read)

    def _message(self, form: object, path: Path) -> MessageTemplate | None:
        message, found = read_message(form, self._method.output_type, self._method.input_type, path)
        self._problems += found
        return message

    def _failure(self, failure: Failure, path: Path) -> FailurePlan:
        try:
            text = TextTemplate.parse(failure.message, self._method.input_type)
        except PathWrong as error:
            self._problems.append(((*path, "message"), str(error)))
            text = TextTemplate(())
        return FailurePlan(failure.code, text, failure.delay_s)

    def _step(self, step: Step, path: Path) -> StepPlan:
        if step.expect is not None:
            tests, found = read_field_tests(step.expect, self._method.input_type, (*path, "expect"))
            self._problems += found
            return StepPlan(expect=tests)
        if step.send is not None:
            return StepPlan(send=self._message(step.send, (*path, "send")))
        if step.abort is not None:
            return StepPlan(abort=self._failure(step.abort, (*path, "abort")))
        return StepPlan(pause_s=step.pause_s, drain=bool(step.drain), close=bool(step.close))
