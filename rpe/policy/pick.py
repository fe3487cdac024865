"""The answers of a selector: a pick, which must be finished, or a refusal, which says until when."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from rpe.policy.breaker import Admission, Transition
from rpe.policy.member import Member

__all__ = ["Pick", "PickReason", "Refusal", "RefusalReason"]


class PickReason(enum.StrEnum):
    """Why a member was picked.

    NORMAL: it is in use, and its turn.
    PROBE: its breaker is open or half-open, and it was time to try it.
    COOLING: it asked to be left alone, but there is nothing better.
    PANIC: its health checks fail, but so do too many others' for that to be believed, or
        there is nothing better.
    FORCED: nothing at all is in use, or was until just now, so an open breaker is tried
        before its time.
    """

    NORMAL = "normal"
    PROBE = "probe"
    COOLING = "cooling"
    PANIC = "panic"
    FORCED = "forced"


class Pick:
    """A member picked for one attempt. It must be handed to `Selector.finish` exactly once."""

    __slots__ = ("admission", "finished", "member", "reason")

    def __init__(self, member: Member, admission: Admission, reason: PickReason) -> None:
        self.member = member
        self.admission = admission
        self.reason = reason
        self.finished = False

    @property
    def probe(self) -> bool:
        """Does the attempt decide whether the member is used again?"""
        return self.admission.probe

    @property
    def transition(self) -> Transition | None:
        """The change of the breaker's state that this pick made, if any."""
        return self.admission.transition

    def __repr__(self) -> str:
        return f"<Pick {self.member.key} {self.reason}{', finished' if self.finished else ''}>"


class RefusalReason(enum.StrEnum):
    """Why nothing was picked. EMPTY: the pool has no members. ALL_EJECTED: none may be tried just now."""

    EMPTY = "empty"
    ALL_EJECTED = "all_ejected"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nothing to pick now.

    `retry_at_s` is the time at which asking again may help; it is worth asking sooner when
    an attempt of this pool ends. None: waiting does not help.
    """

    reason: RefusalReason
    retry_at_s: float | None
