"""Which endpoint gets the next attempt: breakers, health, cool-downs and balancing joined in one decision.

A pick costs the same in a pool of three and of ten thousand, whatever share is ejected.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from rpe.errors import ConfigurationError
from rpe.policy._settings import check_number
from rpe.policy.balancer import choose_untried, make_balancer
from rpe.policy.breaker import Admission, Breaker, BreakerSettings, BreakerState, Transition
from rpe.policy.cooldown import CooldownSettings, cooldown_s
from rpe.policy.health import HealthSettings, HealthState
from rpe.policy.member import Member
from rpe.policy.outcome import Outcome
from rpe.policy.pick import Pick, PickReason, Refusal, RefusalReason
from rpe.policy.roster import COOLING, PROBE, READY, UNWELL, UNWELL_PROBE, WAITING, Roster, probe_due_s

if TYPE_CHECKING:
    from random import Random

__all__ = ["Selector", "SelectorStatistics"]

# When much of a large pool comes due for probing at once, only one pick in ten is a probe that
# fails, so that retries can make up for it; a probe that succeeds costs nothing. A small pool
# never notices.
_PROBE_SHARE: Final = 0.1
_PROBE_BURST: Final = 10.0

_TIMERS_PER_PICK: Final = 64  # bounds the work of one pick after a long pause

_SUCCESS: Final = Outcome.SUCCESS
_THROTTLE: Final = Outcome.THROTTLE
_NORMAL: Final = PickReason.NORMAL


@dataclass(frozen=True, slots=True)
class SelectorStatistics:
    """A pool as it stands, and what was asked of it.

    `ready`, `cooling`, `unhealthy` and `ejected` (breaker not closed) add up to `members`;
    `picks` counts all attempts given out, `probes`, `panics` and `forced` those among them
    that were given for that reason, `refusals` the times nothing could be.
    """

    members: int
    ready: int
    cooling: int
    unhealthy: int
    ejected: int
    in_flight: int
    panic: bool
    picks: int
    probes: int
    panics: int
    forced: int
    refusals: int


class Selector:
    """The members of one pool, and the choice among them. Not thread-safe; times are monotonic seconds.

    `members` maps each endpoint to its member, read-only.

    Arguments:
        balancer: the name of the balancer (`rpe.policy.balancer.BALANCERS`).
        breaker, health, cooldown: the settings of each member's policies.
        panic_threshold: when a smaller share than this passes its health checks, the checks
            are thought to be wrong and are ignored; 0.0: never (Envoy's panic threshold).
        panic_probe_interval_s: when nothing is in use, each member is tried before its
            breaker is due, at most once in this many seconds and one attempt at a time.
        rng: where chance comes from.

    Raises:
        ConfigurationError: a setting is wrong; the text names it.
    """

    __slots__ = (
        "_balancer", "_breaker", "_cooldown", "_credit", "_credited_picks", "_ends", "_health", "_members",
        "_order", "_picks", "_refusals", "_rng", "_roster", "_timers", "_unusual", "_wait_s", "members",
    )  # fmt: skip

    def __init__(
        self,
        *,
        balancer: str = "round_robin",
        breaker: BreakerSettings,
        health: HealthSettings,
        panic_threshold: float = 0.5,
        panic_probe_interval_s: float = 1.0,
        cooldown: CooldownSettings | None = None,
        rng: Random,
    ) -> None:
        check_number("panic_threshold", panic_threshold, most=1.0)
        check_number("panic_probe_interval_s", panic_probe_interval_s, above=0.0)
        self._balancer = make_balancer(balancer, rng)
        self._breaker = breaker
        self._health = health
        self._cooldown = cooldown or CooldownSettings()
        self._wait_s = panic_probe_interval_s
        self._rng = rng
        self._roster = Roster(panic_threshold, panic_probe_interval_s, rng)
        self._order = self._roster.order
        self._ends = self._roster.ends
        self._timers = self._roster.timers
        self._picks = self._refusals = 0
        self._unusual = dict.fromkeys(PickReason, 0)
        self._credit = _PROBE_BURST
        self._credited_picks = 0
        self._members: dict[str, Member] = {}
        self.members: Mapping[str, Member] = MappingProxyType(self._members)

    def add(self, key: str) -> Member:
        """Add an endpoint, usable at once.

        Raises:
            ConfigurationError: the pool has this endpoint already.
        """
        if key in self._members:
            raise ConfigurationError("the pool has this endpoint already", endpoint=key)
        member = Member(key, Breaker(self._breaker, self._rng), HealthState(self._health))
        self._members[key] = member
        self._roster.add(member)
        return member

    def remove(self, key: str) -> None:
        """Take an endpoint out. Attempts that run on it end harmlessly on the removed member.

        Raises:
            KeyError: the pool has no such endpoint.
        """
        self._roster.discard(self._members.pop(key))

    def report_health(self, member: Member, ok: bool, now: float) -> bool:
        """Take in the answer of a health check; returns whether the verdict changed. Closes no breaker."""
        if member.removed or not self._health.enabled:
            return False
        was_usable = member.health.usable
        changed = member.health.record(ok)
        self._roster.note_health(member, was_usable, now)
        return changed

    def pick(
        self, now: float, tried: Collection[Member] = (), *, no_probe: bool = False, lease_s: float = 0.0
    ) -> Pick | Refusal:
        """Choose a member for an attempt that begins at `now`.

        Arguments:
            tried: the members this operation tried in the present round; they are taken
                again only when nothing else is in use.
            no_probe: this attempt should not be risked on a member that is not in use (it is
                the last one, or cannot be repeated): unless nothing else can be had, the
                probe is left to other attempts for `panic_probe_interval_s`.
            lease_s: the longest the attempt can take, in seconds: if it is a probe, no other
                one goes out meanwhile.

        Returns:
            a pick, to be handed to `finish` exactly once, or a refusal.
        """
        roster, ends = self._roster, self._ends
        if now >= self._timers.next_s:
            roster.advance(now, _TIMERS_PER_PICK)
        if tried or ends[UNWELL_PROBE] != ends[PROBE] or roster.panic or roster.amnesty:
            return self._pick_with_care(now, tried, no_probe, lease_s)
        member = self._balancer.choose(self._order, ends[UNWELL], ends[READY], now)
        if member is None or (admission := member.admission) is None:
            return self._pick_with_care(now, tried, no_probe, lease_s)
        self._picks += 1
        member.attempts += 1
        member.in_flight += 1
        return Pick(member, admission, _NORMAL)

    def finish(
        self,
        pick: Pick,
        outcome: Outcome,
        now: float,
        *,
        latency_s: float = 0.0,
        pushback_s: float | None = None,
    ) -> Transition | None:
        """Take in how the attempt of `pick` ended; returns the change of its breaker's state, if any.

        Arguments:
            latency_s: how long the attempt took, in seconds; for statistics only.
            pushback_s: the endpoint's hint to come back so many seconds later, whatever the
                outcome; it is cut to the cool-down's `max_pushback_s`.

        Raises:
            RuntimeError: the pick was finished before; nothing is changed.
        """
        if pick.finished:
            raise RuntimeError(f"{pick!r} cannot be finished a second time")
        pick.finished = True
        member = pick.member
        member.in_flight -= 1
        if outcome is _SUCCESS and not member.troubled and pushback_s is None:
            member.smooth_latency(latency_s)  # there is nothing else that a success would change
            return None
        transition = member.breaker.record(pick.admission, outcome, now)
        member.count(outcome, now, latency_s)
        if outcome is _SUCCESS and pick.probe:
            self._credit = min(self._credit + 1.0, _PROBE_BURST)
        if outcome is _THROTTLE or pushback_s is not None:
            self._cool(member, outcome, now, pushback_s)
        self._settle(member, transition, now)
        return transition

    def vouch(self, pick: Pick, now: float) -> Transition | None:
        """Take a probe that goes on, such as a session that has opened, for a good one.

        Its question is answered, so the lease need not last as long as the session; otherwise
        long sessions alone could never close a breaker. How the attempt ends is still to be
        told to `finish`, and counts for all but the breaker, which has moved on. Returns the
        change of the breaker's state, if any; does nothing for a pick that is no probe.
        """
        if pick.finished or not pick.probe:
            return None
        member = pick.member
        transition = member.breaker.record(pick.admission, _SUCCESS, now)
        self._credit = min(self._credit + 1.0, _PROBE_BURST)
        self._settle(member, transition, now)
        return transition

    def _settle(self, member: Member, transition: Transition | None, now: float) -> None:
        """Let the member's place follow what its breaker was told."""
        if transition is not None:
            member.admission = member.breaker.shared
            if transition.after is BreakerState.CLOSED:
                member.forgive()
                self._roster.note_closing(member, now)
            elif transition.after is BreakerState.OPEN:
                self._roster.note_opening(member, now)
        member.troubled = member.has_trouble()
        self._roster.place(member, now)

    def untried(self, tried: Collection[Member], now: float, *, no_probe: bool = False) -> bool:
        """Would a pick now get a member that is in use, or due for a probe, and not in `tried`?"""
        roster, ends = self._roster, self._ends
        roster.advance(now, _TIMERS_PER_PICK)
        serving = range(roster.first_serving, READY + 1)
        probing = range(0) if no_probe else range(roster.first_probing, PROBE + 1)
        free = sum(ends[group] - ends[group - 1] for groups in (serving, probing) for group in groups)
        return free > sum(1 for member in set(tried) if member.group in serving or member.group in probing)

    def statistics(self) -> SelectorStatistics:
        """Return the pool as it stands; takes time in proportion to its size."""
        ends = self._ends
        return SelectorStatistics(
            members=len(self._members),
            ready=ends[READY] - ends[UNWELL],
            cooling=ends[COOLING] - ends[READY],
            unhealthy=ends[UNWELL] - ends[PROBE],
            ejected=ends[PROBE],
            in_flight=sum(member.in_flight for member in self._members.values()),
            panic=self._roster.panic,
            picks=self._picks,
            probes=self._unusual[PickReason.PROBE],
            panics=self._unusual[PickReason.PANIC],
            forced=self._unusual[PickReason.FORCED],
            refusals=self._refusals,
        )

    # --- the choice, when it is not a plain one ----------------------------------------------------------

    def _pick_with_care(
        self, now: float, tried: Collection[Member], no_probe: bool, lease_s: float
    ) -> Pick | Refusal:
        roster, order, ends, rng = self._roster, self._order, self._ends, self._rng
        if ends[READY] == ends[roster.first_serving - 1]:
            roster.advance(now, len(order))  # nothing is in use, so look at all that may come back
        in_use = ends[roster.first_serving - 1], ends[READY]
        due = ends[roster.first_probing - 1], ends[PROBE]
        choose = self._balancer.choose

        # A member that is due is probed by a first attempt, which has retries behind it; a
        # retry rather goes to a member in use, and to a probe only if those were all tried.
        # Attempts that ask for care leave it to others, but not for ever: all may ask for it.
        if not tried and self._may_probe():
            patience_s = self._wait_s if no_probe else 0.0
            member = choose_untried(rng, order, *due, ())
            if member is not None and probe_due_s(member) + patience_s <= now:
                return self._probe(member, now, lease_s)
            if roster.amnesty and (forced := roster.force_in_amnesty(now, lease_s, patience_s)):
                return self._forced(*forced, now)
        if member := choose(order, *in_use, now, tried):
            return self._give(member, now, _NORMAL if member.group == READY else PickReason.PANIC)
        if not no_probe and (member := choose_untried(rng, order, *due, tried)):
            return self._probe(member, now, lease_s)
        if member := choose(order, *in_use, now):
            return self._give(member, now, _NORMAL if member.group == READY else PickReason.PANIC)

        # Nothing is in use: guess, the best guess first, rather than refuse.
        cooling = ends[READY], ends[COOLING]
        if member := choose(order, *cooling, now, tried) or choose(order, *cooling, now):
            return self._give(member, now, PickReason.COOLING)
        if member := choose_untried(rng, order, *due, ()):
            return self._probe(member, now, lease_s)
        unwell = ends[PROBE], ends[UNWELL]
        if member := choose(order, *unwell, now, tried) or choose(order, *unwell, now):
            return self._give(member, now, PickReason.PANIC)
        if member := choose_untried(rng, order, ends[WAITING], ends[UNWELL_PROBE], ()):
            return self._probe(member, now, lease_s)
        if forced := roster.force_probe(now, lease_s):
            return self._forced(*forced, now)
        self._refusals += 1
        if not order:
            return Refusal(RefusalReason.EMPTY, None)
        return Refusal(
            RefusalReason.ALL_EJECTED, min(self._timers.next_s, roster.next_force_s, now + self._wait_s)
        )

    def _may_probe(self) -> bool:
        """Did enough other picks go by since probes failed?"""
        self._credit = min(self._credit + _PROBE_SHARE * (self._picks - self._credited_picks), _PROBE_BURST)
        self._credited_picks = self._picks
        return self._credit >= 1.0

    def _probe(self, member: Member, now: float, lease_s: float) -> Pick:
        self._credit = max(self._credit - 1.0, 0.0)
        return self._give(member, now, PickReason.PROBE, lease_s)

    def _forced(self, member: Member, admission: Admission, now: float) -> Pick:
        self._credit = max(self._credit - 1.0, 0.0)
        return self._book(member, admission, now, PickReason.FORCED)

    def _give(self, member: Member, now: float, reason: PickReason, lease_s: float = 0.0) -> Pick:
        """Hand out a member whose breaker admits attempts, or is due for a probe."""
        admission = member.breaker.admit(now, lease_s=lease_s)
        if admission is None:
            raise AssertionError(f"{member!r} stands where attempts are admitted but admits none")
        return self._book(member, admission, now, reason)

    def _book(self, member: Member, admission: Admission, now: float, reason: PickReason) -> Pick:
        self._picks += 1
        member.attempts += 1
        member.in_flight += 1
        if reason is not _NORMAL:
            self._unusual[reason] += 1
            if admission.probe:
                member.probes += 1
                self._roster.place(member, now)
        return Pick(member, admission, reason)

    def _cool(self, member: Member, outcome: Outcome, now: float, pushback_s: float | None) -> None:
        """Let a member cool down that refused, or asked for it."""
        refusals = 0
        if outcome is _THROTTLE and member.cool_until_s <= now:
            # Attempts that were under way when it began to cool down tell nothing new.
            member.throttles_in_a_row += 1
            refusals = member.throttles_in_a_row
        pause_s = cooldown_s(self._cooldown, throttles=refusals, pushback_s=pushback_s, rng=self._rng)
        if pause_s > 0.0:
            member.cool_until_s = max(member.cool_until_s, now + pause_s)
