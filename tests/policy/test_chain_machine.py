"""Any order of events, any timing: what the health of a chain must never do."""

from __future__ import annotations

from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from rpe.policy import ChainHealth, ChainSettings, Outcome, StepState, Turn, TurnKind

UP, DOWN = StepState.UP, StepState.DOWN
STEPS = 4
CACHE = 2
"""The step that does not execute stands in the midst, so that nothing depends on its being the last."""

executing_steps = st.sampled_from([step for step in range(STEPS) if step != CACHE])
barred_steps = st.frozensets(st.integers(0, STEPS - 1))


class ChainMachine(RuleBasedStateMachine):
    running = Bundle("running")

    @initialize(
        failure_threshold=st.integers(1, 4),
        success_threshold=st.integers(1, 3),
        jitter=st.sampled_from([0.0, 0.1, 1.0]),
        calm_s=st.sampled_from([0.0, 20.0]),
    )
    def start(self, failure_threshold: int, success_threshold: int, jitter: float, calm_s: float) -> None:
        self.settings = ChainSettings(
            failure_threshold=failure_threshold,
            success_threshold=success_threshold,
            min_stay_s=4.0,
            max_stay_s=20.0,
            calm_s=calm_s,
            jitter=jitter,
            probe_expiry_s=6.0,
        )
        self.now = 1000.0
        kinds = [number != CACHE for number in range(STEPS)]
        self.health = ChainHealth(self.settings, kinds, rng=Random(7), now=self.now)
        self.leases: dict[int, Turn] = {}
        self.left_s: dict[int, float] = {}
        self.returned_s: dict[int, float] = {}

    def state(self, step: int) -> StepState:
        return self.health.statistics()[step].state

    def probe_is_out(self, step: int) -> bool:
        return step in self.leases and self.now < self.leases[step].expires_s

    @rule(pause_s=st.sampled_from([0.0, 0.5, 2.0, 4.0, 9.0, 50.0]))
    def time_passes(self, pause_s: float) -> None:
        self.now += pause_s

    @rule(barred=barred_steps, careful=st.booleans())
    def ask(self, barred: frozenset[int], careful: bool) -> None:
        line = list(self.health.line(self.now, barred, careful=careful))
        free = [step for step in range(STEPS) if step not in barred]
        assert line == sorted(set(line)), "out of order"
        assert set(line) <= set(free), "tried again"
        assert bool(line) is bool(free), "empty although a step is left"
        if any(step != CACHE for step in free):
            assert any(step != CACHE for step in line), "nothing that executes although it is left"
        for step in free:
            if step == CACHE or self.state(step) is UP:
                assert step in line, "a step that is up was passed by"
        guesses = [step for step in line if step != CACHE and self.state(step) is DOWN]
        if any(step != CACHE and self.state(step) is UP for step in line):
            assert not any(self.probe_is_out(step) for step in guesses), "a second probe beside the first"
            assert all(self.now >= self.left_s[step] + 4.0 for step in guesses), "before the shortest stay"
            if careful:
                assert all(self.now >= self.left_s[step] + 8.0 for step in guesses), "a probe without cover"

    @rule(target=running, step=st.integers(0, STEPS - 1), lease_s=st.sampled_from([0.0, 10.0]))
    def begin_a_turn(self, step: int, lease_s: float) -> list[Turn]:
        return [self.begin(step, lease_s)]

    def begin(self, step: int, lease_s: float = 0.0) -> Turn:
        state, was_out = self.state(step), self.probe_is_out(step)
        turn = self.health.begin(step, self.now, lease_s=lease_s)
        assert (turn.kind is TurnKind.NORMAL) is (state is UP)
        if turn.kind is TurnKind.PROBE:
            assert not was_out, "two probes at the same time"
            assert self.now >= self.left_s[step] + 4.0, "a probe before the shortest stay"
            assert turn.expires_s == self.now + max(6.0, lease_s)
            self.leases[step] = turn
        return turn

    @rule(step=executing_steps)
    def all_fall_through(self, step: int) -> None:
        """Let a step go down, which chance alone does too seldom."""
        while self.state(step) is UP:
            self.finish(self.begin(step), Outcome.FAILURE)

    @rule(target=running, step=executing_steps, lost=st.booleans())
    def comes_back(self, step: int, lost: bool) -> list[Turn]:
        """Let good probes go out when they are due, perhaps after one that is lost."""
        turns: list[Turn] = []
        while (due_s := self.health.statistics()[step].probe_due_s) is not None:
            self.now = max(self.now, due_s)
            turn = self.begin(step)
            assert turn.kind is TurnKind.PROBE, "due, and no probe went out"
            if lost and not turns:
                turns = [turn]
            else:
                self.finish(turn, Outcome.SUCCESS)
        return turns

    @rule(turns=consumes(running), outcome=st.sampled_from(Outcome))
    def end(self, turns: list[Turn], outcome: Outcome) -> None:
        for turn in turns:
            self.finish(turn, outcome)

    def finish(self, turn: Turn, outcome: Outcome) -> None:
        step = turn.step
        if step == CACHE and outcome not in (Outcome.SUCCESS, Outcome.NEUTRAL):
            outcome = Outcome.NEUTRAL  # it has nothing to fail by
        before = self.health.statistics()
        leads = self.leases.get(step) is turn and self.now < turn.expires_s
        switch = self.health.finish(turn, outcome, self.now)
        after = self.health.statistics()
        for number in range(STEPS):
            assert (number == step) or (before[number] == after[number]), "another step was touched"
        assert after[step].answers == before[step].answers + (outcome is Outcome.SUCCESS)
        assert after[step].falls == before[step].falls + (outcome is Outcome.FAILURE)
        assert (switch is None) is (before[step].state is after[step].state)
        if self.leases.get(step) is turn:
            del self.leases[step]
        elif self.probe_is_out(step):
            assert after[step].probe_due_s == before[step].probe_due_s, "it gave back the lease of another"
        if turn.kind is TurnKind.PROBE and not leads:
            assert switch is None, "a probe moved the state after its lease had ended"
        if turn.kind is TurnKind.LAST_RESORT:
            assert switch is None
        if switch is None:
            return
        assert (switch.step, switch.before, switch.after) == (step, before[step].state, after[step].state)
        assert after[step].since_s == switch.at_s == self.now
        if switch.after is DOWN:
            assert outcome is Outcome.FAILURE
            self.check_stay(step, before[step].stay_s, after[step].stay_s)
            self.left_s[step] = self.now
        else:
            assert outcome is Outcome.SUCCESS
            assert leads, "it came back by something else than a probe"
            assert self.now - self.left_s[step] >= 4.0, "it came back before the shortest stay"
            self.returned_s[step] = self.now

    def check_stay(self, step: int, before_s: float, after_s: float) -> None:
        """Stays only grow, until a calm time has passed."""
        calm = self.now - self.returned_s.get(step, float("-inf")) >= self.settings.calm_s
        assert after_s == (4.0 if calm else min(2.0 * before_s, 20.0))

    @invariant()
    def it_is_in_order(self) -> None:
        if not hasattr(self, "health"):
            return
        for number, step in enumerate(self.health.statistics()):
            assert (step.probe_due_s is None) is (step.state is UP)
            assert step.stay_s in (0.0, 4.0, 8.0, 16.0, 20.0)
            if number == CACHE:
                assert step.state is UP
            if step.state is DOWN and self.probe_is_out(number):
                assert step.probe_due_s is not None
                assert step.probe_due_s >= self.leases[number].expires_s

    def teardown(self) -> None:
        """Once all is well, every step comes back after its longest stay and a lease's life."""
        if not hasattr(self, "health"):
            return
        self.now += 20.0 * (1.0 + self.settings.jitter) + 10.0
        for _ in range(STEPS * self.settings.success_threshold):
            for step in self.health.line(self.now):
                self.health.finish(self.health.begin(step, self.now), Outcome.SUCCESS, self.now)
        assert all(step.state is UP for step in self.health.statistics())
        assert list(self.health.line(self.now)) == list(range(STEPS))


ChainMachine.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestChain = ChainMachine.TestCase
