"""The part of a script that only an HTTP server can carry out."""

from __future__ import annotations

import enum
from typing import Annotated

from pydantic import Field

from rpe.fakes.script_parts import Firing, Part, RetryAfter

__all__ = ["BodyHow", "EventHow", "HttpBody", "HttpEvents", "HttpScript", "HttpStatus"]


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


class HttpScript(Part):
    """What only an HTTP server can do; such a script is refused on other wires."""

    status: HttpStatus | None = None
    """Answer with a status; health checks go without."""
    body: HttpBody | None = None
    """Break the body of an answer; one that `corrupt` breaks already is left as it is."""
    events: HttpEvents | None = None
    """Disturb the results of sessions; one that `corrupt` breaks already is left as it is."""
    idle_close_s: Annotated[float, Field(strict=True, gt=0, le=86_400)] | None = None
    """Close connections that have been idle for so long."""
