"""What a definition may say: one service, the rules of its methods, and the answers of the rules."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

__all__ = [
    "STATUS_NAMES",
    "Answer",
    "Condition",
    "Definition",
    "Failure",
    "Rule",
    "Source",
    "Step",
    "Streamed",
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
"""The names of gRPC's status codes that say that a call failed."""

Delay = Annotated[float, Field(ge=0, le=86_400)]
"""A time in seconds."""

Json = dict[str, Any]
"""A message in the JSON form of proto3; strings in it may hold `${request.field.path}`."""


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def _exactly_one(part: BaseModel, names: tuple[str, ...]) -> None:
    given = [name for name in names if getattr(part, name) is not None]
    if len(given) != 1:
        raise ValueError(f"one of {', '.join(names)} is needed, and {', '.join(given) or 'none'} is given")


class Source(_Strict):
    """Where the descriptors are from: `protos` (with `include`), or a compiled `set`.

    Paths are counted from the folder of the definition's file.
    """

    protos: list[str] | None = Field(None, min_length=1)
    include: list[str] = []
    set: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        _exactly_one(self, ("protos", "set"))
        if self.set is not None and self.include:
            raise ValueError("include goes with protos only: a compiled set has all that it needs")
        return self


class Condition(_Strict):
    """What must hold of a value: every part that is given. A bare value means `equal`."""

    equal: Any = None
    contains: Any = None
    regex: str | None = None
    present: bool | None = None

    @field_validator("regex")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        import re

        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"this is no regular expression: {error}") from None
        return pattern

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("one of equal, contains, regex, present is needed")
        return self


def _spelled_out(value: Any) -> Any:
    return value if isinstance(value, dict | Condition) else {"equal": value}


Conditions = dict[str, Annotated[Condition, BeforeValidator(_spelled_out)]]


Numbers = Annotated[
    list[Annotated[int, Field(ge=1)]],
    Field(min_length=1),
    BeforeValidator(lambda value: [value] if isinstance(value, int) else value),
]


class When(_Strict):
    """Which calls a rule is for: all that is given must hold.

    fields: conditions by the dotted path of a request's field. metadata: by the key. call: the
    number of the call among the calls of its method, from 1, or several. on: which message of a
    client stream the fields are looked for in: the `last`, the `first`, or `any` one of them.
    """

    fields: Conditions = {}
    metadata: Conditions = {}
    call: Numbers | None = None
    on: Literal["last", "first", "any"] | None = None


class Failure(_Strict):
    """A status that ends the call: its code's name, its text, and `delay_s` seconds before it."""

    code: str
    message: str = ""
    delay_s: Delay = 0.0

    @field_validator("code")
    @classmethod
    def _known(cls, code: str) -> str:
        if code.upper() not in STATUS_NAMES:
            raise ValueError(f"{code!r} is none of {', '.join(STATUS_NAMES)}")
        return code.upper()


class Streamed(_Strict):
    """One message of a stream of answers, and the seconds to wait before it."""

    message: Json
    delay_s: Delay = 0.0


class Step(_Strict):
    """One step of the script of a bidirectional call.

    expect: take the next request, whose fields must fulfil these conditions (else the call ends
    with FAILED_PRECONDITION). send: send this message. pause_s: wait. drain: take requests until
    the caller ends its stream. abort: end with this status. close: end in good order.
    """

    expect: Conditions | None = None
    send: Json | None = None
    pause_s: Delay | None = None
    drain: bool | None = None
    abort: Failure | None = None
    close: bool | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        _exactly_one(self, ("expect", "send", "pause_s", "drain", "abort", "close"))
        if self.drain is False or self.close is False:
            raise ValueError("drain and close are steps: write true, or leave the step out")
        return self


class Answer(_Strict):
    """What a call is answered: `message`, `messages`, `each`, `script` or `sequence`, or `error` alone.

    message: the one answer. messages: a stream of answers. each: for a bidirectional call, the
    answers to each request. script: the steps of a bidirectional call. sequence: answers for one
    call after the other; the last one stays. error: the status in the end, alone or after
    `messages` or `each`. delay_s: the seconds before the first of it.
    """

    message: Json | None = None
    messages: list[Streamed] | None = None
    each: list[Streamed] | None = Field(None, min_length=1)
    script: list[Step] | None = Field(None, min_length=1)
    sequence: list[Answer] | None = Field(None, min_length=1)
    error: Failure | None = None
    delay_s: Delay = 0.0

    @property
    def kind(self) -> str:
        """The name of the part that says what the answer is."""
        names = ("message", "messages", "each", "script", "sequence")
        return next((name for name in names if getattr(self, name) is not None), "error")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.error is None or self.kind not in ("error", "messages", "each"):
            _exactly_one(self, ("message", "messages", "each", "script", "sequence", "error"))
        if self.kind == "sequence" and self.delay_s:
            raise ValueError("give delay_s in the answers of a sequence, not beside it")
        for answer in self.sequence or ():
            if answer.kind == "sequence":
                raise ValueError("a sequence cannot hold a sequence")
        return self


class Rule(_Strict):
    """An answer, and the calls that it is for; all calls where `when` is left out."""

    when: When = When()
    answer: Answer


class Definition(_Strict):
    """One service: the source of its descriptors, its full name, and rules by the name of a method.

    The first rule of a method that fits a call answers it. A method without rules is UNIMPLEMENTED.
    """

    descriptors: Source
    service: str
    methods: dict[str, list[Rule]]
