"""Where each member of a pool stands: in use, cooling down, ejected, or due for a probe.

Every member is in exactly one group, and the group follows from its breaker, its health
and its cool-down alone (`Roster.place`). Whatever can change by the passing of time has a
timer, so what was ejected comes back although nobody picks it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from rpe.policy.breaker import Admission
from rpe.policy.groups import Groups
from rpe.policy.member import Member
from rpe.policy.timers import NEVER, Timers

if TYPE_CHECKING:
    from random import Random

__all__ = [
    "COOLING",
    "PROBE",
    "READY",
    "UNWELL",
    "UNWELL_PROBE",
    "WAITING",
    "Roster",
    "group_of",
    "probe_due_s",
]

# The groups, in an order that makes each choice one among neighbours. UNWELL: health checks
# fail. In a panic each UNWELL group is joined to the one after it.
WAITING: Final = 0  # the breaker is not closed, and it is not time for a probe
UNWELL_PROBE: Final = 1
PROBE: Final = 2  # the breaker is not closed, and a probe is due
UNWELL: Final = 3
READY: Final = 4
COOLING: Final = 5  # asked to be left alone for a while

_SOONEST: Final = 0.5  # the least part of the interval between an opening and the first forced probe


def group_of(member: Member, now: float) -> tuple[int, float]:
    """Return the group in which a member belongs at `now`, and until when, if nothing happens to it."""
    usable = member.health.usable
    if member.breaker.shared is not None:
        if member.cool_until_s > now:
            return COOLING, member.cool_until_s
        return READY if usable else UNWELL, NEVER
    lease = member.breaker.lease
    if lease is not None and lease.expires_s > now:
        return WAITING, lease.expires_s
    at_s = probe_due_s(member)
    if at_s > now:
        return WAITING, at_s
    return PROBE if usable else UNWELL_PROBE, NEVER


def probe_due_s(member: Member) -> float:
    """Return when a member whose breaker is not closed is, or was, due for a probe, as a time."""
    due_s = member.breaker.probe_due_s
    return member.cool_until_s if due_s is None else max(due_s, member.cool_until_s)


class Roster:
    """The members of one pool by where they stand.

    `order` and `ends` are those of `Groups`; `panic` says that health verdicts are to be
    ignored, `first_serving` and `first_probing` which groups, up to READY and up to PROBE,
    therefore count as in use and as due. `amnesty` says that there may be members to force
    although something is in use, `timers` when a member's place may change by itself.

    Arguments:
        panic_threshold, force_interval_s, rng: as in `Selector`.
    """

    __slots__ = (
        "_amnesty_s", "_force_interval_s", "_groups", "_panic_threshold", "_rng", "_standby", "_unhealthy",
        "amnesty", "ends", "first_probing", "first_serving", "order", "panic", "timers",
    )  # fmt: skip

    def __init__(self, panic_threshold: float, force_interval_s: float, rng: Random) -> None:
        self._panic_threshold = panic_threshold
        self._force_interval_s = force_interval_s
        self._rng = rng
        self._groups: Groups[Member] = Groups(COOLING + 1)
        self.order = self._groups.order
        self.ends = self._groups.ends
        self.timers: Timers[Member] = Timers()
        # Members that may be tried by force, and since when. Who failed, or was tried, longest
        # ago comes first, so that all get their turn.
        self._standby: OrderedDict[Member, float] = OrderedDict()
        self._unhealthy = 0
        self.amnesty = False
        self._amnesty_s = -NEVER
        self._judge()

    @property
    def next_force_s(self) -> float:
        """When `force_probe` can next give a member, as a time, unless a member ends its probe before."""
        return next(iter(self._standby)).force_at_s if self._standby else NEVER

    def add(self, member: Member) -> None:
        """Take in a new member: its breaker is closed and its health unknown."""
        self._groups.add(member, READY)
        self._judge()

    def discard(self, member: Member) -> None:
        """Take out a member."""
        self._groups.discard(member)
        self.timers.cancel(member)
        self._standby.pop(member, None)
        self._unhealthy -= not member.health.usable
        self._judge()

    def place(self, member: Member, now: float) -> None:
        """Put a member where it belongs after something happened to it; one that was taken out stays out."""
        if member.removed:
            return
        group, until_s = group_of(member, now)
        if group != member.group:
            self._groups.move(member, group)
        if until_s != NEVER:
            self.timers.wake(member, until_s)
        lease = member.breaker.lease
        if group != WAITING or (lease is not None and lease.expires_s > now):
            self._standby.pop(member, None)
        elif member not in self._standby:
            self._standby[member] = now

    def advance(self, now: float, most: int) -> None:
        """Place up to `most` members whose time has come."""
        while most > 0 and (member := self.timers.pop_due(now)) is not None:
            self.place(member, now)
            most -= 1

    def note_health(self, member: Member, was_usable: bool, now: float) -> None:
        """Place a member whose health checks have just changed their verdict."""
        if member.health.usable is not was_usable:
            self._unhealthy += 1 if was_usable else -1
            self._judge()
            self.place(member, now)

    def note_opening(self, member: Member, now: float) -> None:
        """A breaker has opened: it is not forced at once, nor, with many clients, by all at the same time."""
        share = _SOONEST + (1.0 - _SOONEST) * self._rng.random()
        member.force_at_s = max(member.force_at_s, now + share * self._force_interval_s)

    def note_closing(self, member: Member, now: float) -> None:
        """A breaker has closed, and its member was not placed yet: is it the first after a total outage?

        If so, what all had in common is over: every other member is forced once, or else the
        first to recover would carry the load of all until their breakers come due.
        """
        if self.ends[PROBE] == len(self.order) and not member.removed:
            self.amnesty = True
            self._amnesty_s = now

    def force_in_amnesty(
        self, now: float, lease_s: float, patience_s: float
    ) -> tuple[Member, Admission] | None:
        """Like `force_probe`, `patience_s` later, and only of a member that stood by before the amnesty."""
        since_s = next(iter(self._standby.values()), NEVER)
        self.amnesty = since_s < self._amnesty_s
        if not self.amnesty or self.next_force_s + patience_s > now:
            return None
        return self.force_probe(now, lease_s)

    def force_probe(self, now: float, lease_s: float) -> tuple[Member, Admission] | None:
        """Lease a probe, before it is due, of the member whose last evidence is oldest; None: not now."""
        if self.next_force_s > now:
            return None
        member = next(iter(self._standby))
        admission = member.breaker.force_probe(now, lease_s=lease_s)
        if admission is None:
            raise AssertionError(f"{member!r} stands by although it cannot be probed")
        member.force_at_s = now + self._force_interval_s
        self.place(member, now)
        return member, admission

    def _judge(self) -> None:
        """Are so many members unhealthy that the checks are rather to be doubted?"""
        members = len(self.order)
        self.panic = members - self._unhealthy < self._panic_threshold * members
        self.first_serving = UNWELL if self.panic else READY
        self.first_probing = UNWELL_PROBE if self.panic else PROBE
