"""What a definition may say: one service, the rules of its methods, and the answers of the rules."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from rpe.fakes.definition.conditions import (
    Condition,
    Conditions,
    EachWhen,
    FunctionName,
    Strict,
    When,
    exactly_one,
    listed,
)
from rpe.fakes.script_parts import Latency

__all__ = [
    "STATUS_NAMES",
    "Answer",
    "Condition",
    "Definition",
    "EachAnswer",
    "EachRule",
    "Failure",
    "Repeat",
    "Rule",
    "Source",
    "Step",
    "Streamed",
    "Then",
    "When",
]

STATUS_NAMES = (
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
"""The names of gRPC's status codes that say that a call failed, by their numbers from 1."""

Delay = Annotated[float, Field(ge=0, le=86_400)]
"""A time in seconds."""

Json = dict[str, Any]
"""A message in the JSON form of proto3; strings in it may hold `${request.field.path}`."""

Texts = dict[str, Annotated[list[str], Field(min_length=1), BeforeValidator(listed)]]
"""Metadata: keys, and one value or several; base64 where the key ends with -bin."""


class Source(Strict):
    """Where the descriptors are from: `protos` (with `include`), or a compiled `set`.

    Paths are counted from the folder of the definition's file.
    """

    protos: list[str] | None = Field(None, min_length=1)
    include: list[str] = Field([])
    set: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, ("protos", "set"))
        if self.set is not None and self.include:
            raise ValueError("include goes with protos only: a compiled set has all that it needs")
        return self


def _drawn(value: Any) -> Any:
    if value is not None and not isinstance(value, dict | Latency):
        raise ValueError("write one of fixed_s, uniform_s and lognormal with its value")
    return value


Drawn = Annotated[Latency | None, BeforeValidator(_drawn)]
"""A time that is drawn for each call: between two, or with a long tail."""


class Delayed(Strict):
    """What a time passes before: `delay_s` seconds, or a `delay` that is drawn for each call."""

    delay_s: Delay = 0.0
    delay: Drawn = None

    @model_validator(mode="after")
    def _one_delay(self) -> Self:
        if self.delay is not None and self.delay_s:
            raise ValueError("give delay_s or delay, not both")
        return self


class Failure(Delayed):
    """A status that ends the call: its code's name, its text, and its details.

    details: messages in JSON form with their type in "@type", or `{type_url, value}` with the bytes
    in base64. They are sent in a google.rpc.Status.
    """

    code: str
    message: str = ""
    details: list[Json] = Field([])

    @field_validator("code")
    @classmethod
    def _known(cls, code: str) -> str:
        if code.upper() not in STATUS_NAMES:
            raise ValueError(f"{code!r} is none of {', '.join(STATUS_NAMES)}")
        return code.upper()


class Streamed(Delayed):
    """One message of a stream of answers, and the time before it.

    when: in `each`, the requests that it answers; all of them where it is left out.
    """

    message: Json
    when: EachWhen | None = None


class Repeat(Strict):
    """Steps that are played over and over: so many `times`, or until the caller ends its stream."""

    times: Annotated[int, Field(ge=1)] | None = None
    until_end: bool | None = None
    steps: list[Step] = Field(min_length=1)

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, ("times", "until_end"))
        if self.until_end is False:
            raise ValueError("write until_end: true, or give times")
        if self.until_end and not any(step.takes for step in self.steps):
            raise ValueError("until_end needs a step among its own that expects a request")
        return self


class Step(Strict):
    """One step of the script of a bidirectional call.

    expect: take the next request, whose fields must fulfil these conditions (else the call ends
    with FAILED_PRECONDITION). any: take requests until one fulfils them. timeout_s: how long to
    wait for it; then the call ends with ABORTED. send: send this message. echo: send the last request
    back. pause_s, pause: wait. drain: take requests until the caller ends its stream. repeat: play
    steps over and over. abort: end with this status. close: end in good order.
    """

    expect: Conditions | None = None
    any: bool = False
    timeout_s: Annotated[float, Field(gt=0, le=86_400)] | None = None
    send: Json | None = None
    echo: bool | None = None
    pause_s: Delay | None = None
    pause: Drawn = None
    drain: bool | None = None
    repeat: Repeat | None = None
    abort: Failure | None = None
    close: bool | None = None

    @property
    def takes(self) -> bool:
        """Whether a request is expected here, or in what is repeated here."""
        return self.expect is not None or (
            self.repeat is not None and any(step.takes for step in self.repeat.steps)
        )

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(
            self,
            ("expect", "send", "echo", "pause_s", "pause", "drain", "repeat", "abort", "close"),
        )
        if self.drain is False or self.close is False or self.echo is False:
            raise ValueError("echo, drain and close are steps: write true, or leave the step out")
        if self.expect is None and (self.any or self.timeout_s is not None):
            raise ValueError("any and timeout_s go with expect")
        return self


class Then(Strict):
    """The state that a scenario is in once a rule has been chosen."""

    scenario: str = Field(min_length=1)
    state: str


Thens = Annotated[list[Then], BeforeValidator(listed)]


class EachAnswer(Delayed):
    """What one request of a bidirectional call is answered: `message`, `messages`, or `error`.

    `error` can also follow `messages`.
    """

    message: Json | None = None
    messages: list[Streamed] | None = None
    error: Failure | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        may_fail = self.messages is not None and self.error is not None
        exactly_one(self, ("message", "messages") if may_fail else ("message", "messages", "error"))
        for item in self.messages or ():
            if item.when is not None:
                raise ValueError("when goes with the rule here, not with its messages")
        return self


class EachRule(Strict):
    """An answer, and the requests of a bidirectional call that it is for; all where `when` is left out."""

    when: EachWhen = EachWhen()
    answer: EachAnswer
    then: Thens = Field([])


_KINDS = ("message", "messages", "each", "each_rules", "script", "sequence", "call")


class Answer(Delayed):
    """What a call is answered: one of the parts below, or `error` alone.

    message: the one answer. messages: a stream of answers. each: for a bidirectional call, the
    answers to each request. each_rules: for a bidirectional call, rules of which the first that
    fits a request answers it. script: the steps of a bidirectional call. sequence: answers for one
    call after the other; the last one stays. call: a function in Python that answers. error: the
    status in the end, alone or after `messages`, `each` or `each_rules`. delay_s, delay: the time
    before the first of it. drip_s: the shortest time from one message to the next. metadata: what is
    sent before the first message. trailing_metadata: what is sent with the status, whatever it is.
    """

    message: Json | None = None
    messages: list[Streamed] | None = None
    each: list[Streamed] | None = Field(None, min_length=1)
    each_rules: list[EachRule] | None = Field(None, min_length=1)
    script: list[Step] | None = Field(None, min_length=1)
    sequence: list[Answer] | None = Field(None, min_length=1)
    call: FunctionName = None
    error: Failure | None = None
    drip_s: Delay = 0.0
    metadata: Texts = Field({})
    trailing_metadata: Texts = Field({})

    @property
    def kind(self) -> str:
        """The name of the part that says what the answer is."""
        return next((name for name in _KINDS if getattr(self, name) is not None), "error")

    @model_validator(mode="after")
    def _one(self) -> Self:
        may_fail = self.kind in ("messages", "each", "each_rules") and self.error is not None
        exactly_one(self, _KINDS if may_fail else (*_KINDS, "error"))
        if self.kind == "sequence":
            beside = sorted(self.model_fields_set - {"sequence"})
            if beside:
                raise ValueError(f"give {', '.join(beside)} in the answers of a sequence, not beside it")
        for answer in self.sequence or ():
            if answer.kind == "sequence":
                raise ValueError("a sequence cannot hold a sequence")
        for item in self.messages or ():
            if item.when is not None:
                raise ValueError("when goes with the messages of each, not with those of a stream")
        return self


class Rule(Strict):
    """An answer, the calls that it is for (all where `when` is left out), and the states that follow."""

    when: When = When()
    answer: Answer
    then: Thens = Field([])


class Definition(Strict):
    """One service: the source of its descriptors, its full name, and rules by the name of a method.

    The first rule of a method that fits a call answers it. A method without rules is UNIMPLEMENTED.
    """

    descriptors: Source
    service: str
    methods: dict[str, list[Rule]]
