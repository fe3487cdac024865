"""Any traffic, any faults, any timing: what the choice among endpoints must never do."""

from __future__ import annotations

from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rpe.policy import (
    BreakerSettings,
    BreakerState,
    HealthSettings,
    Member,
    Outcome,
    Pick,
    PickReason,
    Refusal,
    RefusalReason,
    Selector,
)

CLOSED = BreakerState.CLOSED
LONGEST_STAY_S = 40.0 * 1.1
EXPIRY_S = 6.0
INTERVAL_S = 1.0


class SelectorMachine(RuleBasedStateMachine):
    """A selector against what can be said of each member by looking at it alone."""

    @initialize(
        size=st.integers(0, 6),
        balancer=st.sampled_from(["round_robin", "least_connections", "random"]),
        threshold=st.integers(1, 3),
        panic_threshold=st.sampled_from([0.0, 0.5, 1.0]),
        seed=st.integers(0, 99),
    )
    def start(self, size: int, balancer: str, threshold: int, panic_threshold: float, seed: int) -> None:
        self.selector = Selector(
            balancer=balancer,
            breaker=BreakerSettings(
                failure_threshold=threshold,
                reset_timeout_s=10.0,
                max_reset_timeout_s=40.0,
                probe_expiry_s=EXPIRY_S,
            ),
            health=HealthSettings(),
            panic_threshold=panic_threshold,
            panic_probe_interval_s=INTERVAL_S,
            rng=Random(seed),
        )
        self.panic_threshold = panic_threshold
        self.now = 5000.0
        self.running: list[Pick] = []
        self.removed: list[Member] = []
        self.forced_at_s: dict[Member, float] = {}
        self.amnesty: set[Member] = set()  # those that may be forced although others serve again
        self.added = 0
        for _ in range(size):
            self.add()

    # --- what can be said of a member by itself ---------------------------------------------------------

    @property
    def members(self) -> list[Member]:
        return list(self.selector.members.values())

    def panic(self) -> bool:
        usable = sum(member.health.usable for member in self.members)
        return usable < self.panic_threshold * len(self.members)

    def probe_is_out(self, member: Member) -> bool:
        lease = member.breaker.lease
        return lease is not None and self.now < lease.expires_s

    def cooling(self, member: Member) -> bool:
        return self.now < member.cool_until_s

    def in_use(self, member: Member) -> bool:
        well = member.health.usable or self.panic()
        return member.breaker.state is CLOSED and well and not self.cooling(member)

    def due(self, member: Member) -> bool:
        due_s = member.breaker.probe_due_s
        well = member.health.usable or self.panic()
        return due_s is not None and due_s <= self.now and well and not self.cooling(member)

    # --- what happens -----------------------------------------------------------------------------------

    @rule()
    def add(self) -> None:
        self.added += 1
        member = self.selector.add(f"host{self.added}")
        assert self.in_use(member)

    @precondition(lambda self: self.members)
    @rule(number=st.integers(0, 99), again=st.booleans())
    def remove(self, number: int, again: bool) -> None:
        member = self.members[number % len(self.members)]
        self.selector.remove(member.key)
        self.removed.append(member)
        if again:
            assert self.selector.add(member.key) is not member

    @rule(pause_s=st.sampled_from([0.0, 0.05, 0.3, 1.0, 4.0, 11.0, 50.0]))
    def time_passes(self, pause_s: float) -> None:
        self.now += pause_s

    @precondition(lambda self: self.members)
    @rule(number=st.integers(0, 99), ok=st.booleans())
    def check(self, number: int, ok: bool) -> None:
        member = self.members[number % len(self.members)]
        state = member.breaker.state
        self.selector.report_health(member, ok, self.now)
        assert member.breaker.state is state, "a check moved a breaker"

    @rule(tried=st.sets(st.integers(0, 99), max_size=4), no_probe=st.booleans())
    def pick(self, tried: set[int], no_probe: bool) -> None:
        known = self.members + self.removed
        avoid = [known[number % len(known)] for number in tried] if known else []
        in_use = [member for member in self.members if self.in_use(member)]
        due = [member for member in self.members if self.due(member)]
        free = set(in_use + ([] if no_probe else due)) - set(avoid)
        assert self.selector.untried(avoid, self.now, no_probe=no_probe) is bool(free)
        probing = {member for member in self.members if self.probe_is_out(member)}
        closed = {member for member in self.members if member.breaker.state is CLOSED}
        was_due_s = {m: max(m.breaker.probe_due_s or 0.0, m.cool_until_s) for m in self.members}

        pick = self.selector.pick(self.now, avoid, no_probe=no_probe)
        if isinstance(pick, Refusal):
            self.check_refusal(pick, probing)
            return
        member = pick.member
        self.running.append(pick)
        assert self.selector.members[member.key] is member, "a removed member was picked"
        assert pick.probe is (member not in closed)
        assert member not in probing or not pick.probe, "two probes at the same time"
        assert member in free or not free or member in self.amnesty or (no_probe and member in due)
        if in_use:
            assert member in in_use or pick.probe
            assert member in due or pick.reason is not PickReason.PROBE
        if no_probe and in_use and member not in in_use:
            assert not avoid
            assert was_due_s[member] + INTERVAL_S <= self.now or member in self.amnesty
        if pick.reason is PickReason.FORCED:
            assert self.now >= self.forced_at_s.get(member, 0.0) + INTERVAL_S
            self.forced_at_s[member] = self.now
            if member in self.amnesty and not avoid:
                return
            assert not in_use
            assert not due
            assert not closed

    def check_refusal(self, refusal: Refusal, probing: set[Member]) -> None:
        if not self.members:
            assert refusal == Refusal(RefusalReason.EMPTY, None)
            return
        assert refusal.retry_at_s is not None
        assert self.now < refusal.retry_at_s <= self.now + INTERVAL_S
        assert all(member.breaker.state is not CLOSED for member in self.members)
        assert not any(self.due(member) for member in self.members)

    @precondition(lambda self: self.running)
    @rule(
        number=st.integers(0, 999),
        outcome=st.sampled_from(Outcome),
        pushback_s=st.sampled_from([None, None, None, 0.0, 2.0, 9e9, -1.0]),
    )
    def end(self, number: int, outcome: Outcome, pushback_s: float | None) -> None:
        pick = self.running.pop(number % len(self.running))
        before = pick.member.in_flight
        all_open = not pick.member.removed and all(
            member.breaker.state is not CLOSED for member in self.members
        )
        change = self.selector.finish(pick, outcome, self.now, latency_s=0.01, pushback_s=pushback_s)
        if change is not None and change.after is CLOSED and all_open:
            self.amnesty = {member for member in self.members if not self.probe_is_out(member)}
        if (change is not None and change.after is not CLOSED) or pick.reason is PickReason.FORCED:
            self.amnesty.discard(pick.member)
        assert pick.member.in_flight == before - 1
        try:
            self.selector.finish(pick, outcome, self.now)
        except RuntimeError:
            assert pick.member.in_flight == before - 1
        else:
            raise AssertionError("a pick was finished twice")

    @invariant()
    def counts_add_up(self) -> None:
        if not hasattr(self, "selector"):
            return
        self.selector.untried((), self.now)  # looks at what has come due
        statistics = self.selector.statistics()
        open_ones = [member for member in self.members if member.breaker.state is not CLOSED]
        cooling = [member for member in self.members if member not in open_ones and self.cooling(member)]
        rest = [member for member in self.members if member not in open_ones + cooling]
        assert statistics.ejected == len(open_ones)
        assert statistics.cooling == len(cooling)
        assert statistics.ready == sum(member.health.usable for member in rest)
        assert statistics.unhealthy == sum(not member.health.usable for member in rest)
        assert statistics.panic is self.panic()
        for member in self.members + self.removed:
            assert member.admission is member.breaker.shared
            assert member.in_flight == sum(pick.member is member for pick in self.running)
            live = [
                p for p in self.running if p.member is member and p.probe and self.now < p.admission.expires_s
            ]
            assert len(live) <= 1

    def teardown(self) -> None:
        """Once all is well, every member serves again, after the longest stay and a lease's life at most."""
        if not hasattr(self, "selector"):
            return
        for pick in self.running:
            self.selector.finish(pick, Outcome.NEUTRAL, self.now)
        for member in self.members:
            self.selector.report_health(member, True, self.now)
        assert all(member.in_flight == 0 for member in self.members + self.removed)
        self.now += LONGEST_STAY_S + EXPIRY_S
        served: set[Member] = set()
        for _ in range(60 * len(self.members)):
            picked = self.selector.pick(self.now)
            assert isinstance(picked, Pick)
            served.add(picked.member)
            self.selector.finish(picked, Outcome.SUCCESS, self.now)
            self.now += 0.01
        assert served == set(self.members), "an endpoint was forgotten"
        assert self.selector.statistics().ready == len(self.members)


SelectorMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
TestSelector = SelectorMachine.TestCase
