"""The script of a fake server: what it does with the calls that it gets.

Every part is optional, and no part depends on another. Without any, the fake is an
honest server. The same models are used in Python and in YAML: unknown keys are refused,
units stand in the names, and a script survives the way through JSON.
"""

from __future__ import annotations

import enum
import math
import random
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from rpe.errors import ConfigurationError
from rpe.transport.serving import ErrorType, StatusCode

__all__ = [
    "Behaviour",
    "BodyHow",
    "Capacity",
    "Corrupt",
    "CorruptMode",
    "CutHow",
    "Error",
    "EventHow",
    "Firing",
    "Hang",
    "Health",
    "HttpBody",
    "HttpEvents",
    "HttpScript",
    "HttpStatus",
    "Latency",
    "Lognormal",
    "Overload",
    "PipelineError",
    "StreamScript",
    "Version",
    "parse_behaviour",
]


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


Seconds = Annotated[float, Field(strict=True, ge=0, le=86_400, allow_inf_nan=False)]
Rate = Annotated[float, Field(strict=True, ge=0, le=1)]
Count = Annotated[int, Field(strict=True, ge=0)]
Positive = Annotated[int, Field(strict=True, ge=1)]
RetryAfter = Annotated[float, Field(strict=True, ge=-1, le=86_400, allow_inf_nan=False)]
"""Seconds; a negative number asks the caller not to come back."""


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )


class Lognormal(_Part):
    """Times with a long tail: half of them above the median, and a few far above it."""

    median_s: Annotated[float, Field(strict=True, gt=0, le=86_400)]
    sigma: Annotated[float, Field(strict=True, ge=0, le=10)] = 0.5
    """The standard deviation of the logarithm: 0.5 puts the 99th percentile at 3.2 medians."""
    max_s: Seconds | None = None
    """Longer ones are cut to this."""


class Latency(_Part):
    """How long each answer takes: a unary one, the `ready` of a session, and each chunk. One of three."""

    fixed_s: Seconds | None = None
    uniform_s: tuple[Seconds, Seconds] | None = None
    """The shortest and the longest."""
    lognormal: Lognormal | None = None

    @model_validator(mode="after")
    def _one_of_three(self) -> Self:
        given = [name for name in ("fixed_s", "uniform_s", "lognormal") if getattr(self, name) is not None]
        if len(given) != 1:
            told = " and ".join(given) or "none"
            raise ValueError(f"give one of fixed_s, uniform_s and lognormal, not {told}")
        if self.uniform_s is not None and self.uniform_s[0] > self.uniform_s[1]:
            raise ValueError("uniform_s must be [shortest, longest]")
        return self

    def draw_s(self, rng: random.Random) -> float:
        """Return the time that one answer takes, in seconds. Draws at least once, whatever the kind."""
        if self.uniform_s is not None:
            return rng.uniform(*self.uniform_s)
        if (curve := self.lognormal) is not None:
            drawn_s = rng.lognormvariate(math.log(curve.median_s), curve.sigma)
            return drawn_s if curve.max_s is None else min(drawn_s, curve.max_s)
        rng.random()
        return self.fixed_s or 0.0


class Firing(_Part):
    """Which calls something happens to; all three must agree. Calls count from when the script was set."""

    rate: Rate = 1.0
    """The share of calls, drawn from the seed of the fake."""
    first: Count | None = None
    """Only the first so many calls."""
    every: Positive | None = None
    """Only each so-many-th call."""

    def fires(self, number: int, draw: float) -> bool:
        """Decide for the call of that number, from 0, with a draw from [0, 1)."""
        return (
            draw < self.rate
            and (self.first is None or number < self.first)
            and (self.every is None or (number + 1) % self.every == 0)
        )


class Error(Firing):
    """The call ends with a status."""

    status: Annotated[StatusCode, BeforeValidator(_lower)] = StatusCode.UNAVAILABLE
    message: str = "scripted error"
    retry_after_s: RetryAfter | None = None


class PipelineError(Firing):
    """The pipeline fails: an answer that carries an error."""

    error_type: Annotated[ErrorType, BeforeValidator(_lower)] = ErrorType.NODE_EXECUTION
    message: str = "scripted failure"
    node_id: str = ""


class Hang(Firing):
    """The call is never answered; the caller's deadline or cancel ends it."""


class CorruptMode(enum.StrEnum):
    """How an answer is broken.

    TRUNCATED_MESSAGE, BAD_UTF8, SHORT_AUDIO, EMPTY_ONEOF: see `rpe.transport.serving.Damage`.
    WRONG_OUTPUT: a faultless answer, but not to this request. GARBAGE: random bytes.
    """

    TRUNCATED_MESSAGE = "truncated_message"
    BAD_UTF8 = "bad_utf8"
    SHORT_AUDIO = "short_audio"
    EMPTY_ONEOF = "empty_oneof"
    WRONG_OUTPUT = "wrong_output"
    GARBAGE = "garbage"


class Corrupt(Firing):
    """The answer is broken; in a session that it happens to, the first result."""

    mode: CorruptMode


class CutHow(enum.StrEnum):
    """How a session is cut: connection reset, a status, an end with neither error nor close, or silence."""

    RESET = "reset"
    STATUS = "status"
    END = "end"
    SILENCE = "silence"


class StreamScript(_Part):
    """What happens inside sessions."""

    cut_after: Count | None = None
    """Cut each session once so many results have been sent."""
    how: CutHow = CutHow.RESET
    status: Annotated[StatusCode, BeforeValidator(_lower)] = StatusCode.UNAVAILABLE
    """The status, where that is how."""
    drip_s: Seconds = 0.0
    """The shortest time from one result to the next."""
    error_after: Count | None = None
    """Send an error inside the stream, and end it, once so many results have been sent."""
    metrics_every: Count = 10
    """Send metrics after each so many chunks; 0 for never."""


class Overload(_Part):
    """Calls are refused with RESOURCE_EXHAUSTED while more than so many are in flight."""

    above_in_flight: Count
    retry_after_s: RetryAfter | None = None


class Capacity(_Part):
    """How many calls are worked on at once; more than these wait for their turn."""

    workers: Positive


class Health(enum.StrEnum):
    """What health checks get. UNIMPLEMENTED: there is no such service, so that GetVersion has to do."""

    SERVING = "serving"
    NOT_SERVING = "not_serving"
    HANG = "hang"
    UNIMPLEMENTED = "unimplemented"


class Version(_Part):
    """What the fake says of itself."""

    node_types: tuple[str, ...] | None = None
    """Without them, those that it has."""
    protocol_version: str = "v1"
    runtime_version: str = "rpe-fake"
    compatible: bool = True
    message: str = ""


class HttpStatus(Firing):
    """The call is answered with an HTTP status, before the pipeline runs: any number of an error."""

    code: Annotated[int, Field(strict=True, ge=400, le=599)]
    message: str = "scripted status"
    retry_after_s: RetryAfter | None = None


class BodyHow(enum.StrEnum):
    """How the body of an answer is broken: the connection ends halfway, or more was announced than comes."""

    CUT = "cut"
    WRONG_LENGTH = "wrong_length"


class HttpBody(Firing):
    """The body of the answer to a unary call is broken, and the connection with it."""

    how: BodyHow = BodyHow.CUT


class EventHow(enum.StrEnum):
    """What is done to an event of a session.

    It comes in pieces, twice, or after the one that follows it; or the connection is cut in the
    middle of it, which ends no session: the caller can take the events up again.
    """

    SLOW = "slow"
    DUPLICATE = "duplicate"
    LATE = "late"
    CUT = "cut"


class HttpEvents(Firing):
    """Something is done to the results of a session on their way out; they are counted in each session."""

    how: EventHow


class HttpScript(_Part):
    """What only an HTTP server can do; such a script is refused on other wires."""

    status: HttpStatus | None = None
    """Answer with a status; health checks go without."""
    body: HttpBody | None = None
    """Break the body of an answer; one that `corrupt` breaks already is left as it is."""
    events: HttpEvents | None = None
    """Disturb the results of sessions; one that `corrupt` breaks already is left as it is."""
    idle_close_s: Annotated[float, Field(strict=True, gt=0, le=86_400)] | None = None
    """Close connections that have been idle for so long."""


class Behaviour(_Part):
    """The whole script. A call meets its parts in this order: token, overload, capacity, latency,
    hang, error, http.status, application_error, and then, once the pipeline has run, corrupt
    and http.body.
    """

    latency: Latency | None = None
    error: Error | None = None
    application_error: PipelineError | None = None
    hang: Hang | None = None
    corrupt: Corrupt | None = None
    stream: StreamScript = StreamScript()
    overload: Overload | None = None
    capacity: Capacity | None = None
    token: Annotated[str, Field(min_length=1)] | None = Field(default=None, repr=False)
    """The bearer token without which calls are refused; health checks go without."""
    other_token: Annotated[str, Field(min_length=1)] | None = Field(default=None, repr=False)
    """A second token that is taken as well, as servers do while the first is exchanged for it."""
    recheck_token: bool = Field(default=False, strict=True)
    """Look at the token again at each chunk of a session, by the script of then, and end the session
    with UNAUTHENTICATED where it has become a wrong one. Without it, whoever was let in stays in."""
    health: Annotated[Health, BeforeValidator(_lower)] = Health.SERVING
    """`hang` and `not_serving` hold for GetVersion too, which serves as a health check elsewhere."""
    version: Version = Version()
    http: HttpScript = HttpScript()
    """What only an HTTP server can do."""


def parse_behaviour(script: Mapping[str, Any]) -> Behaviour:
    """Read a script. Raises ConfigurationError that names each wrong key, and never tells a token."""
    try:
        return Behaviour.model_validate(dict(script))
    except ValidationError as error:
        problems = "; ".join(_problem(detail) for detail in error.errors(include_url=False))
        raise ConfigurationError(
            f"a behaviour cannot be read: {problems}", hint=f"its parts: {', '.join(Behaviour.model_fields)}"
        ) from error


def _problem(detail: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in detail["loc"]) or "behaviour"
    if detail["type"] == "extra_forbidden":
        return f"{where} is unknown"
    message = f"{where}: {detail['msg'].removeprefix('Value error, ')}"
    secret = {"token", "other_token"} & set(detail["loc"])
    if secret or detail["type"] == "missing" or isinstance(detail["input"], Mapping):
        return message
    shown = repr(detail["input"])
    return f"{message} (got {shown[:60]})"
