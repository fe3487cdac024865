"""Any order of events, any timing: what a breaker must never do."""

from __future__ import annotations

from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from rpe.policy import Admission, Breaker, BreakerSettings, BreakerState, Outcome

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


class BreakerMachine(RuleBasedStateMachine):
    running = Bundle("running")

    @initialize(
        failure_threshold=st.integers(1, 4),
        success_threshold=st.integers(1, 3),
        jitter=st.sampled_from([0.0, 0.1, 1.0]),
    )
    def start(self, failure_threshold: int, success_threshold: int, jitter: float) -> None:
        self.settings = BreakerSettings(
            failure_threshold=failure_threshold,
            success_threshold=success_threshold,
            reset_timeout_s=8.0,
            max_reset_timeout_s=40.0,
            jitter=jitter,
            probe_expiry_s=6.0,
        )
        self.breaker = Breaker(self.settings, Random(7))
        self.now = 1000.0
        self.open_until_s = 0.0
        self.lease: Admission | None = None

    def lease_is_out(self) -> bool:
        return self.lease is not None and self.now < self.lease.expires_s

    @rule(pause_s=st.sampled_from([0.0, 0.5, 3.0, 6.0, 9.0, 50.0]))
    def time_passes(self, pause_s: float) -> None:
        self.now += pause_s

    @rule(target=running)
    def admit(self) -> list[Admission]:
        state, was_out = self.breaker.state, self.lease_is_out()
        due_s = self.breaker.probe_due_s
        admission = self.breaker.admit(self.now)
        if state is CLOSED:
            assert admission is not None
            assert not admission.probe
            return [admission]
        assert due_s is not None
        assert (admission is not None) is (self.now >= due_s)
        if admission is None:
            return []
        return [self.leased(admission, was_out)]

    @rule(target=running)
    def force(self) -> list[Admission]:
        state, was_out = self.breaker.state, self.lease_is_out()
        admission = self.breaker.force_probe(self.now)
        assert (admission is None) is (state is CLOSED or was_out)
        assert self.breaker.state is state
        return [] if admission is None else [self.leased(admission, was_out)]

    def leased(self, admission: Admission, was_out: bool) -> Admission:
        assert admission.probe
        assert not was_out, "two probes at the same time"
        assert admission.expires_s == self.now + self.settings.probe_expiry_s
        self.lease = admission
        return admission

    @rule(attempts=consumes(running), outcome=st.sampled_from(Outcome))
    def end(self, attempts: list[Admission], outcome: Outcome) -> None:
        for admission in attempts:
            self.record(admission, outcome)

    def record(self, admission: Admission, outcome: Outcome) -> None:
        before, state = self.breaker.statistics(), self.breaker.state
        current = (
            admission is self.lease and self.lease_is_out()
            if admission.probe
            else (state is CLOSED and admission.generation == before.generation)
        )
        change = self.breaker.record(admission, outcome, self.now)
        after = self.breaker.statistics()
        assert (change is None) is (state is after.state)
        if change is not None:
            assert (change.before, change.after, change.at_s) == (state, after.state, self.now)
            assert outcome is (Outcome.FAILURE if change.after is OPEN else Outcome.SUCCESS)
        if not current:
            assert change is None
            assert (after.failures, after.successes, after.openings) == (
                before.failures,
                before.successes,
                before.openings,
            )
        if admission is self.lease:
            self.lease = None
        if outcome in (Outcome.NEUTRAL, Outcome.THROTTLE):
            assert (after.failures, after.successes) == (before.failures, before.successes)
        if change is not None and change.after is OPEN:
            self.check_stay(after.openings)

    def check_stay(self, openings: int) -> None:
        due_s = self.breaker.probe_due_s
        assert due_s is not None
        nominal_s = min(8.0 * 2.0 ** (openings - 1), 40.0)
        jitter = self.settings.jitter
        assert nominal_s * (1.0 - jitter) - 1e-9 <= due_s - self.now <= nominal_s * (1.0 + jitter) + 1e-9

    @invariant()
    def it_is_in_order(self) -> None:
        if not hasattr(self, "breaker"):
            return
        statistics = self.breaker.statistics()
        assert 0 <= statistics.failures < self.settings.failure_threshold
        assert 0 <= statistics.successes < self.settings.success_threshold
        assert (statistics.probe_due_s is None) is (statistics.state is CLOSED)
        assert (statistics.openings == 0) is (statistics.state is CLOSED)
        if self.lease_is_out():
            assert self.breaker.lease is self.lease

    def teardown(self) -> None:
        """Once the endpoint is well, the breaker closes after its longest stay and a lease's life."""
        if not hasattr(self, "breaker"):
            return
        self.now += 40.0 * (1.0 + self.settings.jitter) + 6.0
        for _ in range(self.settings.success_threshold):
            admission = self.breaker.admit(self.now)
            assert admission is not None
            self.breaker.record(admission, Outcome.SUCCESS, self.now)
        assert self.breaker.state is CLOSED


BreakerMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestBreaker = BreakerMachine.TestCase
