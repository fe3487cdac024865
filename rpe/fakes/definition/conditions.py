"""What a rule may ask of a call: conditions on fields, metadata, numbers, states, and by a function."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

__all__ = [
    "Condition",
    "Conditions",
    "EachWhen",
    "FunctionName",
    "InState",
    "Numbers",
    "Strict",
    "When",
    "exactly_one",
    "listed",
]


class Strict(BaseModel):
    """A part of a definition: unknown keys and other types are mistakes."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def exactly_one(part: BaseModel, names: tuple[str, ...]) -> None:
    """Raise ValueError unless one of these parts is given."""
    given = [name for name in names if getattr(part, name) is not None]
    if len(given) != 1:
        raise ValueError(f"one of {', '.join(names)} is needed, and {', '.join(given) or 'none'} is given")


def listed(value: Any) -> Any:
    """Return a list of the one thing that was given alone."""
    return value if isinstance(value, list) else [value]


class Condition(Strict):
    """What must hold of a value: every part that is given. A bare value means `equal`."""

    equal: Any = None
    contains: Any = None
    regex: str | None = None
    present: bool | None = None

    @field_validator("regex")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
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
    BeforeValidator(listed),
]
"""One number from 1, or several."""


def _named(value: Any) -> Any:
    if value is None or callable(value):
        return value
    if not isinstance(value, str) or not re.fullmatch(r"[\w.]+:[\w.]+", value):
        raise ValueError("write module:function (in Python a function can stand here, too)")
    return value


FunctionName = Annotated[Any, BeforeValidator(_named)]
"""The name of a function in Python, as module:function; or the function itself."""


class InState(Strict):
    """A scenario, by its name, and a state of it."""

    name: str = Field(min_length=1)
    state: str


class EachWhen(Strict):
    """Which requests of a bidirectional call an answer is for: all that is given must hold.

    fields: conditions by the dotted path of the request's field. message: the number of the request
    in its stream, from 1, or several. predicate: a function of the request and the call that
    says whether it is. scenario: a state that a scenario must be in, or several of them.
    """

    fields: Conditions = {}
    message: Numbers | None = None
    predicate: FunctionName = None
    scenario: Annotated[list[InState], BeforeValidator(listed)] = []


class When(Strict):
    """Which calls a rule is for: all that is given must hold.

    fields: conditions by the dotted path of a request's field. metadata: by the key. call: the
    number of the call among the calls of its method, from 1, or several. on: which message of a
    client stream the fields are looked for in: the `last`, the `first`, or `any` one of them.
    messages: how many messages a client stream has, or several such numbers. predicate: a function
    of the request (of a client stream, the list of requests) and the call, that says whether it is.
    scenario: a state that a scenario must be in, or several of them.
    """

    fields: Conditions = {}
    metadata: Conditions = {}
    call: Numbers | None = None
    on: Literal["last", "first", "any"] | None = None
    messages: Numbers | None = None
    predicate: FunctionName = None
    scenario: Annotated[list[InState], BeforeValidator(listed)] = []
