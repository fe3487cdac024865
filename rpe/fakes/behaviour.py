"""The script of a fake server: what it does with the calls that it gets.

Every part is optional, and no part depends on another. Without any, the fake is an
honest server. The same models are used in Python and in YAML: unknown keys are refused,
units stand in the names, and a script survives the way through JSON.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from rpe.errors import ConfigurationError
from rpe.fakes.http_script import BodyHow, EventHow, HttpBody, HttpEvents, HttpScript, HttpStatus
from rpe.fakes.media_script import MediaScript
from rpe.fakes.script_parts import (
    Count,
    Firing,
    Latency,
    Lognormal,
    Part,
    Positive,
    Rate,
    RetryAfter,
    Seconds,
    lower,
)
from rpe.fakes.service_script import ServiceModel
from rpe.transport.serving import ErrorType, StatusCode

__all__ = [
    "Behaviour",
    "BodyHow",
    "Capacity",
    "Corrupt",
    "CorruptMode",
    "Count",
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
    "MediaScript",
    "Overload",
    "PipelineError",
    "Positive",
    "Rate",
    "RetryAfter",
    "Seconds",
    "ServiceModel",
    "StreamScript",
    "Version",
    "parse_behaviour",
]


class Error(Firing):
    """The call ends with a status."""

    status: Annotated[StatusCode, BeforeValidator(lower)] = StatusCode.UNAVAILABLE
    message: str = "scripted error"
    retry_after_s: RetryAfter | None = None


class PipelineError(Firing):
    """The pipeline fails: an answer that carries an error."""

    error_type: Annotated[ErrorType, BeforeValidator(lower)] = ErrorType.NODE_EXECUTION
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


class StreamScript(Part):
    """What happens inside sessions."""

    cut_after: Count | None = None
    """Cut each session once so many results have been sent."""
    how: CutHow = CutHow.RESET
    status: Annotated[StatusCode, BeforeValidator(lower)] = StatusCode.UNAVAILABLE
    """The status, where that is how."""
    drip_s: Seconds = 0.0
    """The shortest time from one result to the next."""
    error_after: Count | None = None
    """Send an error inside the stream, and end it, once so many results have been sent."""
    metrics_every: Count = 10
    """Send metrics after each so many chunks; 0 for never."""


class Overload(Part):
    """Calls are refused with RESOURCE_EXHAUSTED while more than so many are in flight."""

    above_in_flight: Count
    retry_after_s: RetryAfter | None = None


class Capacity(Part):
    """How many calls are worked on at once; more than these wait for their turn."""

    workers: Positive


class Health(enum.StrEnum):
    """What health checks get. UNIMPLEMENTED: there is no such service, so that GetVersion has to do."""

    SERVING = "serving"
    NOT_SERVING = "not_serving"
    HANG = "hang"
    UNIMPLEMENTED = "unimplemented"


class Version(Part):
    """What the fake says of itself."""

    node_types: tuple[str, ...] | None = None
    """Without them, those that it has."""
    protocol_version: str = "v1"
    runtime_version: str = "rpe-fake"
    compatible: bool = True
    message: str = ""


class Behaviour(Part):
    """The whole script. A call meets its parts in this order: token, overload, capacity, latency,
    hang, error, http.status, application_error, service, and then, once the pipeline has run, media,
    corrupt and http.body.
    """

    latency: Latency | None = None
    service: ServiceModel | None = None
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
    health: Annotated[Health, BeforeValidator(lower)] = Health.SERVING
    """`hang` and `not_serving` hold for GetVersion too, which serves as a health check elsewhere."""
    version: Version = Version()
    media: MediaScript = MediaScript()
    """Faults of the audio in answers, by media time or by count: a list of them, each with a `kind`."""
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
