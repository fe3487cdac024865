"""The circuit breaker of one endpoint: a table of transitions, and the machine that follows it.

An attempt is admitted, runs, and its outcome is recorded with the admission it was given.
While the breaker is closed all attempts share one admission; a probe of a failed endpoint
has one of its own, which is its lease: only its outcome moves the state, it is the only
one out at a time, and it ends by itself at `expires_s`. What was admitted before the last
change of state, or by a lease that has ended, is late, and says nothing any more.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rpe.policy._settings import check_flag, check_number, check_relation, check_whole
from rpe.policy.backoff import BackoffSettings, backoff_s
from rpe.policy.outcome import Outcome

if TYPE_CHECKING:
    from random import Random

__all__ = [
    "TRANSITIONS",
    "Action",
    "Admission",
    "Breaker",
    "BreakerEvent",
    "BreakerSettings",
    "BreakerState",
    "BreakerStatistics",
    "Rule",
    "Transition",
    "breaker_diagram",
]


class BreakerState(enum.StrEnum):
    """CLOSED: attempts pass. OPEN: none does. HALF_OPEN: one probe at a time does."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class BreakerEvent(enum.StrEnum):
    """What can happen to a breaker. The outcomes are those of attempts that are not late."""

    SUCCESS = "success"
    RECOVERED = "recovered"  # the success that makes up the success threshold
    FAILURE = "failure"
    TRIPPED = "tripped"  # the failure that makes up the failure threshold
    THROTTLE = "throttle"
    NEUTRAL = "neutral"
    LATE = "late"  # any outcome of an earlier generation, or of an ended lease
    DUE = "due"  # the time to stay open is over, and a probe was asked for
    LEASED = "leased"  # a probe goes out
    EXPIRED = "expired"  # the lease of a probe ran out


class Action(enum.StrEnum):
    """What a rule does besides setting the state."""

    COUNT_FAILURE = "count failure"
    FORGET_FAILURES = "forget failures"
    COUNT_SUCCESS = "count success, next probe at once"
    LEASE = "lease probe"
    FREE = "free lease"
    EJECT = "new generation, next probe later each time"
    READMIT = "new generation, forget backoff"


@dataclass(frozen=True, slots=True)
class Rule:
    """The state after an event, and what is done on the way, in this order."""

    after: BreakerState
    actions: tuple[Action, ...] = ()


def _table() -> Mapping[tuple[BreakerState, BreakerEvent], Rule]:
    closed, opened, half = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN
    event, do = BreakerEvent, Action
    return {
        (closed, event.SUCCESS): Rule(closed, (do.FORGET_FAILURES,)),
        (closed, event.RECOVERED): Rule(closed, (do.FORGET_FAILURES,)),
        (closed, event.FAILURE): Rule(closed, (do.COUNT_FAILURE,)),
        (closed, event.TRIPPED): Rule(opened, (do.EJECT,)),
        (closed, event.THROTTLE): Rule(closed),
        (closed, event.NEUTRAL): Rule(closed),
        (closed, event.LATE): Rule(closed),
        (closed, event.DUE): Rule(closed),
        (closed, event.LEASED): Rule(closed),
        (closed, event.EXPIRED): Rule(closed),
        # A probe that is out while open was forced. Its failure leaves the schedule as it
        # was: a pool in need must not postpone the return of the endpoints it guesses at.
        (opened, event.SUCCESS): Rule(half, (do.FREE, do.COUNT_SUCCESS)),
        (opened, event.RECOVERED): Rule(closed, (do.READMIT,)),
        (opened, event.FAILURE): Rule(opened, (do.FREE,)),
        (opened, event.TRIPPED): Rule(opened, (do.FREE,)),
        (opened, event.THROTTLE): Rule(opened, (do.FREE,)),
        (opened, event.NEUTRAL): Rule(opened, (do.FREE,)),
        (opened, event.LATE): Rule(opened),
        (opened, event.DUE): Rule(half),
        (opened, event.LEASED): Rule(opened, (do.LEASE,)),
        (opened, event.EXPIRED): Rule(opened, (do.FREE,)),
        (half, event.SUCCESS): Rule(half, (do.FREE, do.COUNT_SUCCESS)),
        (half, event.RECOVERED): Rule(closed, (do.READMIT,)),
        (half, event.FAILURE): Rule(opened, (do.EJECT,)),
        (half, event.TRIPPED): Rule(opened, (do.EJECT,)),
        (half, event.THROTTLE): Rule(half, (do.FREE,)),
        (half, event.NEUTRAL): Rule(half, (do.FREE,)),
        (half, event.LATE): Rule(half),
        (half, event.DUE): Rule(half),
        (half, event.LEASED): Rule(half, (do.LEASE,)),
        (half, event.EXPIRED): Rule(half, (do.FREE,)),
    }


TRANSITIONS: Final = _table()
"""Every transition of the breaker; there is no other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerSettings:
    """When a breaker opens, and how it closes again.

    Arguments:
        failure_threshold: consecutive failures that open it.
        success_threshold: consecutive good probes that close it.
        reset_timeout_s: how long it stays open the first time, in seconds.
        reset_multiplier: each failed probe makes the next stay this many times longer.
        max_reset_timeout_s: the longest stay, in seconds, before jitter.
        jitter: each stay is drawn from [1 - jitter, 1 + jitter] times the nominal one.
        probe_expiry_s: a probe that has not ended after this many seconds has lost its
            lease. It must be longer than an attempt may take.
        enabled: False: it never opens.

    Raises:
        ConfigurationError: a setting is out of range; the text names it.
    """

    failure_threshold: int = 5
    success_threshold: int = 2
    reset_timeout_s: float = 30.0
    reset_multiplier: float = 2.0
    max_reset_timeout_s: float = 300.0
    jitter: float = 0.1
    probe_expiry_s: float = 30.0
    enabled: bool = True

    def __post_init__(self) -> None:
        check_whole("BreakerSettings.failure_threshold", self.failure_threshold, least=1)
        check_whole("BreakerSettings.success_threshold", self.success_threshold, least=1)
        check_number("BreakerSettings.reset_timeout_s", self.reset_timeout_s, above=0.0)
        check_number("BreakerSettings.reset_multiplier", self.reset_multiplier, least=1.0)
        check_number("BreakerSettings.max_reset_timeout_s", self.max_reset_timeout_s, above=0.0)
        check_number("BreakerSettings.jitter", self.jitter, most=1.0)
        check_number("BreakerSettings.probe_expiry_s", self.probe_expiry_s, above=0.0)
        check_flag("BreakerSettings.enabled", self.enabled)
        check_relation(
            self.max_reset_timeout_s >= self.reset_timeout_s,
            "BreakerSettings.max_reset_timeout_s",
            "at least reset_timeout_s",
        )


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of state at the time `at_s`, and the event that caused it."""

    before: BreakerState
    after: BreakerState
    at_s: float
    cause: BreakerEvent


@dataclass(frozen=True, slots=True, eq=False)
class Admission:
    """Leave to make an attempt; told apart by identity.

    `probe` says that it is a lease, which ends at `expires_s`; `transition` is the change
    of state that giving it made, if any.
    """

    generation: int
    probe: bool = False
    expires_s: float = float("inf")
    transition: Transition | None = None


@dataclass(frozen=True, slots=True)
class BreakerStatistics:
    """A breaker as it stands: `openings` counts those since it was last closed, `probe_due_s` is a time."""

    state: BreakerState
    generation: int
    failures: int
    successes: int
    openings: int
    probing: bool
    probe_due_s: float | None


# Shared by all breakers that never opened: staleness is asked of one breaker only.
_FIRST = Admission(0)


class Breaker:
    """The breaker of one endpoint. Not thread-safe; times are seconds of one monotonic clock."""

    __slots__ = (
        "_due_s", "_failures", "_generation", "_lease", "_openings", "_pass", "_rng", "_settings", "_state",
        "_successes",
    )  # fmt: skip

    def __init__(self, settings: BreakerSettings, rng: Random) -> None:
        self._settings = settings
        self._rng = rng
        self._state = BreakerState.CLOSED
        self._generation = 0
        self._failures = 0
        self._successes = 0
        self._openings = 0
        self._due_s = 0.0
        self._pass: Admission | None = _FIRST
        self._lease: Admission | None = None

    @property
    def state(self) -> BreakerState:
        """The state as of the last event: open, although a probe is due, until the probe goes out."""
        return self._state

    @property
    def failures(self) -> int:
        """Consecutive failures counted while closed."""
        return self._failures

    @property
    def probe_due_s(self) -> float | None:
        """When `admit` can next lease a probe, as a time; None while closed."""
        if self._pass is not None:
            return None
        if self._lease is not None:
            return max(self._due_s, self._lease.expires_s)
        return self._due_s

    @property
    def shared(self) -> Admission | None:
        """The admission of all attempts while closed; None while not."""
        return self._pass

    @property
    def lease(self) -> Admission | None:
        """The probe that is out, if any; it may have expired."""
        return self._lease

    def admit(self, now: float, *, lease_s: float = 0.0) -> Admission | None:
        """Ask leave for an attempt at `now`; None: not now.

        Arguments:
            lease_s: the longest the attempt can take, in seconds, if that is longer than
                `probe_expiry_s`: a lease lasts at least as long.

        Returns:
            an admission, to be handed to `record` exactly once; if it is a probe and that
            never happens, it expires.
        """
        if self._pass is not None:
            return self._pass
        due_s = self.probe_due_s
        if due_s is None or now < due_s:
            return None
        return self._probe(now, lease_s, self._apply(BreakerEvent.DUE, now))

    def force_probe(self, now: float, *, lease_s: float = 0.0) -> Admission | None:
        """Lease a probe before it is due; None if the breaker is closed or a probe is out already."""
        if self._pass is not None or (self._lease is not None and now < self._lease.expires_s):
            return None
        return self._probe(now, lease_s, None)

    def record(self, admission: Admission, outcome: Outcome, now: float) -> Transition | None:
        """Take in the outcome of an attempt; returns the change of state it made, if any."""
        if admission is not (self._lease if admission.probe else self._pass):
            return self._apply(BreakerEvent.LATE, now)
        if now >= admission.expires_s:
            return self._apply(BreakerEvent.EXPIRED, now)
        return self._apply(self._event_of(outcome), now)

    def statistics(self) -> BreakerStatistics:
        """Return the breaker as it stands."""
        return BreakerStatistics(
            self._state,
            self._generation,
            self._failures,
            self._successes,
            self._openings,
            self._lease is not None,
            self.probe_due_s,
        )

    def _event_of(self, outcome: Outcome) -> BreakerEvent:
        settings = self._settings
        if outcome is Outcome.SUCCESS and self._successes + 1 >= settings.success_threshold:
            return BreakerEvent.RECOVERED
        if (
            outcome is Outcome.FAILURE
            and settings.enabled
            and self._failures + 1 >= settings.failure_threshold
        ):
            return BreakerEvent.TRIPPED
        return BreakerEvent(outcome)

    def _apply(self, event: BreakerEvent, now: float, lease: Admission | None = None) -> Transition | None:
        before = self._state
        rule = TRANSITIONS[before, event]
        for action in rule.actions:
            self._act(action, now, lease)
        self._state = rule.after
        return None if rule.after is before else Transition(before, rule.after, now, event)

    def _act(self, action: Action, now: float, lease: Admission | None) -> None:
        match action:
            case Action.COUNT_FAILURE:
                self._failures += 1
            case Action.FORGET_FAILURES:
                self._failures = 0
            case Action.COUNT_SUCCESS:
                self._successes += 1
                self._due_s = min(self._due_s, now)
            case Action.LEASE:
                self._lease = lease
            case Action.FREE:
                self._lease = None
            case Action.EJECT:
                self._begin_generation()
                self._pass = None
                self._due_s = now + backoff_s(_backoff_of(self._settings), self._openings, self._rng)
                self._openings += 1
            case Action.READMIT:
                self._begin_generation()
                self._pass = Admission(self._generation)
                self._openings = 0

    def _begin_generation(self) -> None:
        self._generation += 1
        self._failures = self._successes = 0
        self._lease = None

    def _probe(self, now: float, lease_s: float, transition: Transition | None) -> Admission:
        if self._lease is not None:
            self._apply(BreakerEvent.EXPIRED, now)
        expires_s = now + max(self._settings.probe_expiry_s, lease_s)
        lease = Admission(self._generation, True, expires_s, transition)
        self._apply(BreakerEvent.LEASED, now, lease)
        return lease

    def __repr__(self) -> str:
        return f"<Breaker {self._state}, generation {self._generation}, {self._failures} failures>"


def _backoff_of(settings: BreakerSettings) -> BackoffSettings:
    return BackoffSettings(
        initial_s=settings.reset_timeout_s,
        multiplier=settings.reset_multiplier,
        max_s=settings.max_reset_timeout_s,
        jitter=settings.jitter,
    )


def breaker_diagram() -> str:
    """Return the table as a Mermaid state diagram; rules that change nothing are left out."""
    arrows: dict[tuple[str, str, str], list[str]] = {}
    for (before, event), rule in TRANSITIONS.items():
        if rule.after is not before or rule.actions:
            does = ", ".join(rule.actions)
            arrows.setdefault((before, rule.after, does), []).append(event)
    lines = ["stateDiagram-v2", f"    [*] --> {BreakerState.CLOSED}"]
    for (origin, target, does), events in arrows.items():
        label = " or ".join(events) + (f" / {does}" if does else "")
        lines.append(f"    {origin} --> {target}: {label}")
    return "\n".join(lines) + "\n"
