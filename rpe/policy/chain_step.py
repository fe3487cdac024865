"""The health of one step of a fallback chain: a table of transitions, and the machine that follows it.

A step goes DOWN when more than one operation in five falls through it, and stays
there for a time. Then one operation at a time probes it, and good probes bring it back. A
step that falls again soon after its return stays away longer each time, so that a step which
comes and goes does not take the main flow with it. As in a breaker, only what was begun in the
present state counts: what ends later says nothing any more.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rpe.policy._settings import check_number, check_relation, check_whole
from rpe.policy.outcome import Outcome

if TYPE_CHECKING:
    from random import Random

__all__ = [
    "STEP_TRANSITIONS",
    "ChainSettings",
    "Step",
    "StepAction",
    "StepEvent",
    "StepRule",
    "StepState",
    "StepStatistics",
    "StepSwitch",
    "Turn",
    "TurnKind",
    "chain_diagram",
]

# An answer takes a quarter of a fall off the count, so the count grows while more than one
# operation in five falls. A count that each answer cleared would never leave a step that
# fails every second time; one that no answer lowered would leave a good one in the end.
_FORGIVEN = 0.25


class StepState(enum.StrEnum):
    """UP: operations take the step. DOWN: they pass it by, but for one probe at a time."""

    UP = "up"
    DOWN = "down"


class StepEvent(enum.StrEnum):
    """What can happen to a step. The outcomes are those of operations that are not late."""

    ANSWER = "answer"
    RETURNED = "returned"  # the answer that makes up the success threshold
    FALL = "fall"
    TRIPPED = "tripped"  # the fall that makes up the failure threshold
    THROTTLE = "throttle"
    NEUTRAL = "neutral"
    LATE = "late"  # any outcome of an earlier generation, of an ended lease, or of a last resort
    LEASED = "leased"  # a probe goes out
    EXPIRED = "expired"  # the lease of a probe ran out


class StepAction(enum.StrEnum):
    """What a rule does besides setting the state."""

    COUNT_FALL = "count fall"
    FORGIVE = "forgive a quarter of a fall"
    COUNT_ANSWER = "count answer, next probe at once"
    LEASE = "lease probe"
    FREE = "free lease"
    WAIT = "stay down once more"
    LEAVE = "new generation, stay twice as long if soon after a return"
    RETURN = "new generation"


@dataclass(frozen=True, slots=True)
class StepRule:
    """The state after an event, and what is done on the way, in this order."""

    after: StepState
    actions: tuple[StepAction, ...] = ()


def _table() -> Mapping[tuple[StepState, StepEvent], StepRule]:
    up, down, event, do = StepState.UP, StepState.DOWN, StepEvent, StepAction
    return {
        (up, event.ANSWER): StepRule(up, (do.FORGIVE,)),
        (up, event.RETURNED): StepRule(up, (do.FORGIVE,)),
        (up, event.FALL): StepRule(up, (do.COUNT_FALL,)),
        (up, event.TRIPPED): StepRule(down, (do.LEAVE,)),
        # A pool that refuses for load is spilled over, operation by operation: what it does
        # take is better served by it than by the next step.
        (up, event.THROTTLE): StepRule(up),
        (up, event.NEUTRAL): StepRule(up),
        (up, event.LATE): StepRule(up),
        (up, event.LEASED): StepRule(up),
        (up, event.EXPIRED): StepRule(up),
        (down, event.ANSWER): StepRule(down, (do.FREE, do.COUNT_ANSWER)),
        (down, event.RETURNED): StepRule(up, (do.RETURN,)),
        (down, event.FALL): StepRule(down, (do.FREE, do.WAIT)),
        (down, event.TRIPPED): StepRule(down, (do.FREE, do.WAIT)),
        (down, event.THROTTLE): StepRule(down, (do.FREE, do.WAIT)),
        (down, event.NEUTRAL): StepRule(down, (do.FREE,)),
        (down, event.LATE): StepRule(down),
        (down, event.LEASED): StepRule(down, (do.LEASE,)),
        (down, event.EXPIRED): StepRule(down, (do.FREE,)),
    }


STEP_TRANSITIONS: Final = _table()
"""Every transition of a step; there is no other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainSettings:
    """When a chain leaves a step, and how it returns to it.

    Arguments:
        failure_threshold: the count of falls at which a step goes down. A fall is a whole
            operation that failed at the step, retries included; each answer takes a quarter
            of one off. Three, since one may have been the fault of its own input, and two of it
            tried again.
        success_threshold: consecutive good probes that bring a step back.
        min_stay_s: the shortest time that a step stays down, in seconds.
        max_stay_s: the longest, before jitter: each return that does not last doubles the stay.
        calm_s: a step that has been up for so many seconds begins with the shortest stay again.
        jitter: each stay is drawn from [1, 1 + jitter] times the nominal one, so that many
            clients do not return in step.
        probe_expiry_s: a probe that has not ended after this many seconds has lost its lease;
            one that may take longer keeps it as long as it may take.
        max_attempts: attempts of an operation in all pools of the chain together.

    Raises:
        ConfigurationError: a setting is out of range; the text names it.
    """

    failure_threshold: int = 3
    success_threshold: int = 2
    min_stay_s: float = 5.0
    max_stay_s: float = 60.0
    calm_s: float = 60.0
    jitter: float = 0.1
    probe_expiry_s: float = 30.0
    max_attempts: int = 6

    def __post_init__(self) -> None:
        check_whole("ChainSettings.failure_threshold", self.failure_threshold, least=1)
        check_whole("ChainSettings.success_threshold", self.success_threshold, least=1)
        check_number("ChainSettings.min_stay_s", self.min_stay_s, above=0.0)
        check_number("ChainSettings.max_stay_s", self.max_stay_s, above=0.0)
        check_number("ChainSettings.calm_s", self.calm_s)
        check_number("ChainSettings.jitter", self.jitter, most=1.0)
        check_number("ChainSettings.probe_expiry_s", self.probe_expiry_s, above=0.0)
        check_whole("ChainSettings.max_attempts", self.max_attempts, least=1)
        check_relation(self.max_stay_s >= self.min_stay_s, "ChainSettings.max_stay_s", "at least min_stay_s")


class TurnKind(enum.StrEnum):
    """Why a step was tried: in its turn, to probe it, or because nothing better was left."""

    NORMAL = "normal"
    PROBE = "probe"
    LAST_RESORT = "last_resort"


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """Leave to try a step; told apart by identity. A probe is a lease, which ends at `expires_s`."""

    step: int
    kind: TurnKind = TurnKind.NORMAL
    expires_s: float = float("inf")


@dataclass(frozen=True, slots=True)
class StepSwitch:
    """A step went up or down at the time `at_s`, and the event that caused it."""

    step: int
    before: StepState
    after: StepState
    at_s: float
    cause: StepEvent


@dataclass(frozen=True, slots=True)
class StepStatistics:
    """A step as it stands.

    `answers`, `falls` and `probes` count since the chain was made; `since_s` is when the
    state began, `stay_s` the nominal stay of the last time down (0 before the first), and
    `probe_due_s` when it can next be probed, None while it is up.
    """

    state: StepState
    since_s: float
    answers: int
    falls: int
    probes: int
    stay_s: float
    probe_due_s: float | None


class Step:
    """The machine of one step."""

    __slots__ = (
        "_count", "_due_s", "_good", "_returned_s", "_rng", "_settings", "_stay_s", "answers", "falls",
        "lease", "number", "probes", "shared", "since_s", "state",
    )  # fmt: skip

    def __init__(self, number: int, settings: ChainSettings, rng: Random, now: float) -> None:
        self.number = number
        self.state = StepState.UP
        self.since_s = now
        self.shared = Turn(number)
        self.lease: Turn | None = None
        self.answers = self.falls = self.probes = 0
        self._settings = settings
        self._rng = rng
        self._count = 0.0
        self._good = 0
        self._due_s = 0.0
        self._stay_s = 0.0
        self._returned_s = float("-inf")

    @property
    def probe_due_s(self) -> float | None:
        """When a probe can next be leased, as a time; None while up."""
        if self.state is StepState.UP:
            return None
        return self._due_s if self.lease is None else max(self._due_s, self.lease.expires_s)

    def usable(self, now: float) -> bool:
        """Up, or to be probed."""
        due_s = self.probe_due_s
        return due_s is None or due_s <= now

    def begin(self, now: float, lease_s: float) -> Turn:
        """Give leave to try it: as a probe where one is due, as a last resort where it is not."""
        if self.state is StepState.UP:
            return self.shared
        if not self.usable(now):
            return Turn(self.number, TurnKind.LAST_RESORT)
        if self.lease is not None:
            self._apply(StepEvent.EXPIRED, now)
        turn = Turn(self.number, TurnKind.PROBE, now + max(lease_s, self._settings.probe_expiry_s))
        self.probes += 1
        self._apply(StepEvent.LEASED, now, turn)
        return turn

    def finish(self, turn: Turn, outcome: Outcome, now: float) -> StepSwitch | None:
        """Take in how a turn ended; returns the change of state it made, if any."""
        if outcome is Outcome.SUCCESS:
            self.answers += 1
            if not self._count and turn is self.shared:
                return None  # there is nothing that an answer would change
        elif outcome is Outcome.FAILURE:
            self.falls += 1
        if turn is not (self.lease if turn.kind is TurnKind.PROBE else self.shared):
            return self._apply(StepEvent.LATE, now)
        if now >= turn.expires_s:
            return self._apply(StepEvent.EXPIRED, now)
        return self._apply(self._event_of(outcome), now)

    def _event_of(self, outcome: Outcome) -> StepEvent:
        match outcome:
            case Outcome.SUCCESS:
                enough = self._good + 1 >= self._settings.success_threshold
                return StepEvent.RETURNED if enough else StepEvent.ANSWER
            case Outcome.FAILURE:
                enough = self._count + 1.0 >= self._settings.failure_threshold
                return StepEvent.TRIPPED if enough else StepEvent.FALL
            case Outcome.THROTTLE:
                return StepEvent.THROTTLE
            case Outcome.NEUTRAL:
                return StepEvent.NEUTRAL

    def _apply(self, event: StepEvent, now: float, lease: Turn | None = None) -> StepSwitch | None:
        before = self.state
        rule = STEP_TRANSITIONS[before, event]
        for action in rule.actions:
            self._act(action, now, lease)
        if rule.after is before:
            return None
        self.state = rule.after
        self.since_s = now
        return StepSwitch(self.number, before, rule.after, now, event)

    def _act(self, action: StepAction, now: float, lease: Turn | None) -> None:
        match action:
            case StepAction.COUNT_FALL:
                self._count += 1.0
            case StepAction.FORGIVE:
                self._count = max(self._count - _FORGIVEN, 0.0)
            case StepAction.COUNT_ANSWER:
                self._good += 1
                self._due_s = min(self._due_s, now)
            case StepAction.LEASE:
                self.lease = lease
            case StepAction.FREE:
                self.lease = None
            case StepAction.WAIT:
                self._good = 0
                self._stay(now)
            case StepAction.LEAVE:
                self._begin_generation()
                calm = now - self._returned_s >= self._settings.calm_s
                self._stay_s = (
                    self._settings.min_stay_s if calm else min(2.0 * self._stay_s, self._settings.max_stay_s)
                )
                self._stay(now)
            case StepAction.RETURN:
                self._begin_generation()
                self._returned_s = now

    def _stay(self, now: float) -> None:
        self._due_s = now + self._stay_s * (1.0 + self._settings.jitter * self._rng.random())

    def _begin_generation(self) -> None:
        self._count = 0.0
        self._good = 0
        self.lease = None
        self.shared = Turn(self.number)

    def statistics(self) -> StepStatistics:
        """Return the step as it stands."""
        return StepStatistics(
            self.state, self.since_s, self.answers, self.falls, self.probes, self._stay_s, self.probe_due_s
        )


def chain_diagram() -> str:
    """Return the table as a Mermaid state diagram; rules that change nothing are left out."""
    arrows: dict[tuple[str, str, str], list[str]] = {}
    for (before, event), rule in STEP_TRANSITIONS.items():
        if rule.after is not before or rule.actions:
            arrows.setdefault((before, rule.after, ", ".join(rule.actions)), []).append(event)
    lines = ["stateDiagram-v2", f"    [*] --> {StepState.UP}"]
    for (origin, target, does), events in arrows.items():
        lines.append(f"    {origin} --> {target}: {' or '.join(events)} / {does}")
    return "\n".join(lines) + "\n"
