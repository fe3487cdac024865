"""A definition that has been checked: what each rule asks, and what it sends."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from rpe.fakes.definition.details import DetailPlan
from rpe.fakes.definition.ending import CallEnded, Metadata
from rpe.fakes.definition.functions import Function
from rpe.fakes.definition.matching import EachMatcher, FieldTest, Matcher
from rpe.fakes.definition.messages import MessageTemplate, TextTemplate
from rpe.fakes.script_parts import Latency

__all__ = [
    "NO_DELAY",
    "AnswerPlan",
    "DelayPlan",
    "EachPlan",
    "FailurePlan",
    "MethodPlan",
    "RulePlan",
    "ServicePlan",
    "StepPlan",
    "StreamedPlan",
    "Thens",
]

Thens = tuple[tuple[str, str], ...]
"""Scenarios, and the states that they are put into."""


@dataclass(frozen=True, slots=True)
class DelayPlan:
    """A time to wait: `fixed_s` seconds, or one that is drawn for each call."""

    fixed_s: float = 0.0
    drawn: Latency | None = None


NO_DELAY = DelayPlan()


@dataclass(frozen=True, slots=True)
class FailurePlan:
    """A status to end with, after a delay; its text and details may be filled from the request."""

    code: str
    message: TextTemplate
    delay: DelayPlan
    details: tuple[DetailPlan, ...] = ()

    def ended(self, request: Message) -> CallEnded:
        """Return the end of the call. Raises TemplateFailed."""
        parts = tuple(detail.detail(request) for detail in self.details)
        return CallEnded(self.code, self.message.text(request), parts)


@dataclass(frozen=True, slots=True)
class StreamedPlan:
    """One message of a stream, and the time before it."""

    message: MessageTemplate
    delay: DelayPlan


@dataclass(frozen=True, slots=True)
class EachPlan:
    """What the requests of a bidirectional call are answered that it is for."""

    matcher: EachMatcher
    delay: DelayPlan = NO_DELAY
    streamed: tuple[StreamedPlan, ...] = ()
    error: FailurePlan | None = None
    then: Thens = ()


@dataclass(frozen=True, slots=True)
class StepPlan:
    """One step of a script: the one part that is not None. `at` says which one it is, for what is told.

    repeat: the steps that are played so many `times`; where that is None, until the caller ends its stream.
    """

    at: str
    expect: tuple[FieldTest, ...] | None = None
    any: bool = False
    timeout_s: float | None = None
    send: MessageTemplate | None = None
    echo: bool = False
    pause: DelayPlan | None = None
    drain: bool = False
    repeat: tuple[StepPlan, ...] = ()
    times: int | None = None
    abort: FailurePlan | None = None
    close: bool = False


@dataclass(frozen=True, slots=True)
class AnswerPlan:
    """One answer. `kind` is messages (of which one may be all), each, each_rules, script, call or error.

    each: in an answer of the kind `each`, all that fit a request answer it; of `each_rules`, the first.
    """

    kind: str
    delay: DelayPlan = NO_DELAY
    streamed: tuple[StreamedPlan, ...] = ()
    each: tuple[EachPlan, ...] = ()
    script: tuple[StepPlan, ...] = ()
    function: Function | None = None
    error: FailurePlan | None = None
    drip_s: float = 0.0
    metadata: Metadata = ()
    trailing_metadata: Metadata = ()


@dataclass(slots=True)
class RulePlan:
    """A rule: whom it is for, and its answers, one for each call in turn; the last one stays."""

    matcher: Matcher
    answers: tuple[AnswerPlan, ...]
    then: Thens = ()


@dataclass(frozen=True, slots=True)
class MethodPlan:
    """A method with its rules, in the order in which they are tried.

    request, response: the classes of its messages. kind: which of the four kinds of call it is.
    needs_request: whether a rule looks at the first request of a bidirectional call.
    scenarios: the names of the scenarios that its rules speak of.
    """

    name: str
    kind: str
    request: type[Message]
    response: type[Message]
    rules: tuple[RulePlan, ...]
    needs_request: bool
    scenarios: tuple[str, ...] = ()

    @property
    def contract(self) -> Descriptor:
        """A type of the contract, to find others beside."""
        found: Any = self.response.DESCRIPTOR
        kind: Descriptor = found
        return kind


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """A service with its methods by name; those without rules are there as well."""

    name: str
    methods: dict[str, MethodPlan] = field(default_factory=dict)
