"""What the faults of a raw server have in common: when they fire, and after how many messages."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from rpe.fakes.behaviour import Count, Firing

__all__ = ["CallFault", "Fault", "H2Code", "lower"]

H2Code = Annotated[int, Field(strict=True, ge=0, lt=2**32)]
"""An HTTP/2 error code (RFC 9113, section 7), or a number that is none."""


def lower(value: Any) -> Any:
    """Return a text in lower case, and anything else as it is."""
    return value.lower() if isinstance(value, str) else value


class Fault(Firing):
    """Something that may go wrong with a call or a connection."""

    after: Count = 0
    """So many pass unharmed before `rate`, `first` and `every` begin to count."""

    def fires(self, number: int, draw: float) -> bool:
        """Decide for the call or connection of that number, from 0, with a draw from [0, 1)."""
        return number >= self.after and super().fires(number - self.after, draw)


class CallFault(Fault):
    """Something that may go wrong with a call."""

    ends: ClassVar[bool] = True
    """Whether it comes in the place of a message; otherwise it is done to one."""

    path: str = ""
    """Only calls whose path ends so, such as `ExecutePipeline`; the others are not counted either."""
    after_messages: Count | None = 0
    """So many messages of the answer go out in good order first; none for all of them.

    A fault that ends the call and waits for no message comes once the first message of the
    request is there, and the call is then never answered by anything else.
    """
