"""A chain's health, event by event: who is tried, who is passed by, who comes back and when."""

from __future__ import annotations

import itertools
from random import Random

import pytest

from rpe.errors import ConfigurationError
from rpe.policy import ChainHealth, ChainSettings, Outcome, StepState, StepSwitch, TurnKind, chain_diagram
from rpe.policy.chain_step import STEP_TRANSITIONS, StepAction, StepEvent

UP, DOWN = StepState.UP, StepState.DOWN
OK, FALL, THROTTLE, NEUTRAL = Outcome.SUCCESS, Outcome.FAILURE, Outcome.THROTTLE, Outcome.NEUTRAL
EXACT = ChainSettings(jitter=0.0)


class Bench:
    """A chain of pools "0", "1" ... with kept answers behind them, and a clock."""

    def __init__(self, executing: int = 2, settings: ChainSettings = EXACT, *, cache: bool = True) -> None:
        self.now = 100.0
        kinds = [True] * executing + [False] * cache
        self.health = ChainHealth(settings, kinds, rng=Random(3), now=self.now)

    def line(self, *barred: int, careful: bool = False) -> list[int]:
        return list(self.health.line(self.now, barred, careful=careful))

    def take(self, step: int, outcome: Outcome) -> StepSwitch | None:
        return self.health.finish(self.health.begin(step, self.now), outcome, self.now)

    def state(self, step: int) -> StepState:
        return self.health.statistics()[step].state

    def topple(self, *steps: int) -> None:
        for step in steps:
            while self.state(step) is UP:
                self.take(step, FALL)

    def bring_back(self, step: int) -> None:
        due_s = self.health.statistics()[step].probe_due_s
        assert due_s is not None
        self.now = max(self.now, due_s)
        self.take(step, OK)
        self.take(step, OK)
        assert self.state(step) is UP


def test_every_state_knows_every_event() -> None:
    assert set(STEP_TRANSITIONS) == set(itertools.product(StepState, StepEvent))


@pytest.mark.parametrize(("state", "event"), STEP_TRANSITIONS)
def test_the_state_changes_by_two_events_only(state: StepState, event: StepEvent) -> None:
    changes = {(UP, StepEvent.TRIPPED): DOWN, (DOWN, StepEvent.RETURNED): UP}
    assert STEP_TRANSITIONS[state, event].after is changes.get((state, event), state)


@pytest.mark.parametrize(
    "event", [event for event in StepEvent if event not in (StepEvent.LATE, StepEvent.LEASED)]
)
def test_every_end_of_a_probe_frees_its_lease(event: StepEvent) -> None:
    actions = STEP_TRANSITIONS[DOWN, event].actions
    assert {StepAction.FREE, StepAction.RETURN} & set(actions)


def test_at_first_all_are_tried_in_order() -> None:
    assert Bench(3).line() == [0, 1, 2, 3]
    assert Bench(3).line(0, 2) == [1, 3]


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ([FALL] * 2, UP),
        ([FALL] * 3, DOWN),
        ([FALL, NEUTRAL, FALL, THROTTLE, FALL], DOWN),
        ([THROTTLE] * 50, UP),
        ([NEUTRAL] * 50, UP),
        ([FALL, OK] * 4, DOWN),
        ([FALL, OK, OK, OK] * 20, DOWN),
        ([FALL, OK, OK, OK, OK] * 50, UP),
        ([FALL, FALL] + [OK] * 8 + [FALL, FALL], UP),
        ([FALL, FALL] + [OK] * 3 + [FALL], UP),
    ],
)
def test_a_step_goes_down_when_more_than_one_in_five_fall_through_it(
    outcomes: list[Outcome], state: StepState
) -> None:
    bench = Bench()
    for outcome in outcomes:
        bench.take(0, outcome)
    assert bench.state(0) is state


def test_a_step_that_is_down_is_passed_by_and_the_switch_says_why() -> None:
    bench = Bench()
    assert bench.take(0, FALL) is None
    assert bench.take(0, FALL) is None
    assert bench.take(0, FALL) == StepSwitch(0, UP, DOWN, 100.0, StepEvent.TRIPPED)
    assert bench.line() == [1, 2]


def test_when_all_are_down_all_are_tried_in_order() -> None:
    bench = Bench(3)
    bench.topple(0, 1, 2)
    assert bench.line() == [0, 1, 2, 3]
    assert bench.line(0) == [1, 2, 3]
    assert bench.health.begin(0, bench.now).kind is TurnKind.LAST_RESORT


def test_steps_that_are_down_are_the_last_resort_of_an_operation_that_has_fallen_through_the_others() -> None:
    bench = Bench(2)
    bench.topple(0)
    assert bench.line(1) == [0, 2]
    assert bench.line(0, 1) == [2]
    assert bench.line(0, 1, 2) == []


def test_a_last_resort_tells_nothing_but_is_counted() -> None:
    bench = Bench(1)
    bench.topple(0)
    before = bench.health.statistics()[0]
    for outcome in [OK, OK, OK, FALL]:
        assert bench.take(0, outcome) is None
    after = bench.health.statistics()[0]
    assert (after.state, after.since_s, after.probe_due_s) == (DOWN, before.since_s, before.probe_due_s)
    assert (after.answers, after.falls, after.probes) == (before.answers + 3, before.falls + 1, 0)


def test_after_the_stay_one_operation_probes_at_a_time_and_two_good_ones_bring_it_back() -> None:
    bench = Bench()
    bench.topple(0)
    bench.now += 4.999
    assert bench.line() == [1, 2]
    bench.now = 105.0
    assert bench.line() == [0, 1, 2]
    probe = bench.health.begin(0, bench.now)
    assert probe.kind is TurnKind.PROBE
    assert bench.line() == [1, 2], "a second probe beside the first"
    assert bench.health.finish(probe, OK, bench.now) is None
    assert bench.line() == [0, 1, 2], "the next probe had to wait"
    second = bench.health.begin(0, bench.now)
    assert bench.health.finish(second, OK, 106.0) == StepSwitch(0, DOWN, UP, 106.0, StepEvent.RETURNED)
    assert bench.line() == [0, 1, 2]
    assert bench.health.statistics()[0].probes == 2


@pytest.mark.parametrize("outcome", [FALL, THROTTLE])
def test_a_bad_probe_waits_one_more_stay_which_is_not_longer(outcome: Outcome) -> None:
    bench = Bench()
    bench.topple(0)
    for _ in range(5):
        bench.now += 5.0
        bench.take(0, OK)
        bench.take(0, outcome)
        assert bench.line() == [1, 2]
        assert bench.health.statistics()[0].probe_due_s == bench.now + 5.0
    bench.bring_back(0)


def test_a_probe_that_was_cancelled_blames_nobody_and_the_next_one_goes_out_at_once() -> None:
    bench = Bench()
    bench.topple(0)
    bench.now += 5.0
    bench.take(0, NEUTRAL)
    assert bench.line() == [0, 1, 2]


@pytest.mark.parametrize("outcome", Outcome)
def test_a_probe_that_is_lost_does_not_stick_and_says_nothing_any_more(outcome: Outcome) -> None:
    bench = Bench(settings=ChainSettings(jitter=0.0, success_threshold=1))
    bench.topple(0)
    bench.now += 5.0
    lost = bench.health.begin(0, bench.now, lease_s=40.0)
    bench.now += 39.0
    assert bench.line() == [1, 2]
    bench.now += 1.0
    assert bench.line() == [0, 1, 2]
    other = bench.health.begin(0, bench.now)
    assert other.kind is TurnKind.PROBE
    before = bench.health.statistics()[0].probe_due_s
    assert bench.health.finish(lost, outcome, bench.now) is None
    assert bench.health.statistics()[0].probe_due_s == before, "it gave back the lease of the other one"
    assert bench.line() == [1, 2]


@pytest.mark.parametrize("outcome", Outcome)
def test_a_probe_that_ends_after_its_lease_only_frees_it(outcome: Outcome) -> None:
    bench = Bench(settings=ChainSettings(jitter=0.0, success_threshold=1))
    bench.topple(0)
    bench.now += 5.0
    slow = bench.health.begin(0, bench.now)
    bench.now += 30.0
    assert bench.health.finish(slow, outcome, bench.now) is None
    assert bench.state(0) is DOWN
    assert bench.line() == [0, 1, 2]


def test_what_was_begun_before_the_step_went_down_says_nothing_after_it() -> None:
    bench = Bench()
    early = bench.health.begin(0, bench.now)
    bench.topple(0)
    assert bench.health.finish(early, OK, bench.now) is None
    bench.bring_back(0)
    for _ in range(9):
        assert bench.health.finish(early, FALL, bench.now) is None
    assert bench.state(0) is UP


def test_a_step_that_does_not_last_stays_away_longer_each_time_up_to_a_limit() -> None:
    bench = Bench()
    stays = []
    for _ in range(7):
        bench.topple(0)
        stays.append(bench.health.statistics()[0].stay_s)
        bench.bring_back(0)
        bench.now += 10.0
    assert stays == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0, 60.0]


def test_a_calm_time_makes_the_stay_short_again() -> None:
    bench = Bench()
    for pause_s in (1.0, 59.9, 60.0):
        bench.topple(0)
        bench.bring_back(0)
        bench.now += pause_s
    assert bench.health.statistics()[0].stay_s == 20.0
    bench.topple(0)
    assert bench.health.statistics()[0].stay_s == 5.0


def test_a_careful_operation_leaves_the_probe_to_others_but_not_for_ever() -> None:
    bench = Bench()
    bench.topple(0)
    bench.now += 9.999
    assert bench.line(careful=True) == [1, 2]
    assert bench.line() == [0, 1, 2]
    bench.now = 110.0
    assert bench.line(careful=True) == [0, 1, 2]


def test_jitter_makes_a_stay_longer_and_never_shorter() -> None:
    for seed in range(50):
        health = ChainHealth(ChainSettings(jitter=0.5), [True], rng=Random(seed), now=0.0)
        for _ in range(3):
            health.finish(health.begin(0, 0.0), FALL, 0.0)
        due_s = health.statistics()[0].probe_due_s
        assert due_s is not None
        assert 5.0 <= due_s <= 7.5


def test_kept_answers_are_always_asked_and_alone_are_not_enough() -> None:
    bench = Bench(1)
    bench.topple(0)
    assert bench.line() == [0, 1]
    assert bench.line(0) == [1]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("failure_threshold", 0),
        ("success_threshold", 0),
        ("min_stay_s", 0.0),
        ("max_stay_s", 4.0),
        ("calm_s", -1.0),
        ("jitter", 1.5),
        ("probe_expiry_s", 0.0),
        ("max_attempts", 0),
    ],
)
def test_a_setting_out_of_range_is_named(setting: str, value: float) -> None:
    with pytest.raises(ConfigurationError, match=setting):
        ChainSettings(**{setting: value})  # type: ignore[arg-type]


def test_the_diagram_has_every_arrow_of_the_table() -> None:
    text = chain_diagram()
    assert "up --> down: tripped" in text
    assert "down --> up: returned" in text
    for (_, event), rule in STEP_TRANSITIONS.items():
        assert not rule.actions or event in text


# --- how fallback goes wrong elsewhere: never returns, or flaps -------------------------------------------


class Flow:
    """Operations one after the other down a chain of two, in virtual time."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.served: list[tuple[float, int]] = []
        self.primary = 0
        self.switches: list[StepSwitch] = []

    def run(self, seconds: float, primary_is_well: bool | None, *, rate_per_s: float = 50.0) -> None:
        """None: the primary fails every second operation."""
        bench = self.bench
        for _ in range(int(seconds * rate_per_s)):
            bench.now += 1.0 / rate_per_s
            for step in bench.line():
                well = step == 1
                if step == 0:
                    self.primary += 1
                    well = self.primary % 2 == 0 if primary_is_well is None else primary_is_well
                switch = bench.take(step, OK if well else FALL)
                self.switches += [] if switch is None else [switch]
                if well:
                    self.served.append((bench.now, step))
                    break


def test_a_primary_that_was_down_for_five_seconds_carries_everything_again_two_stays_later() -> None:
    flow = Flow()
    flow.run(5.0, False)
    flow.run(10.0, True)
    flow.served.clear()
    flow.run(1.0, True)
    assert {step for _, step in flow.served} == {0}


def test_a_primary_that_fails_every_second_time_is_left_and_hardly_tried() -> None:
    flow = Flow()
    flow.run(60.0, None)
    assert len(flow.served) == 3000, "a caller got an error"
    assert len(flow.switches) == 1
    assert flow.primary < 0.1 * 3000


@pytest.mark.parametrize("period_s", [2.0, 7.0, 15.0, 30.0])
def test_a_primary_that_comes_and_goes_does_not_take_the_main_flow_with_it(period_s: float) -> None:
    flow = Flow()
    for _ in range(int(600.0 / period_s) // 2):
        flow.run(period_s, True)
        flow.run(period_s, False)
    leavings = [switch.at_s for switch in flow.switches if switch.after is DOWN]
    assert all(later - earlier >= 5.0 for earlier, later in itertools.pairwise(leavings))
    assert len(leavings) <= 3 + 600.0 / 60.0
