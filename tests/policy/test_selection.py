from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest

from rpe.errors import ConfigurationError
from rpe.policy import (
    BackoffSettings,
    BreakerSettings,
    BreakerState,
    CooldownSettings,
    HealthSettings,
    HealthVerdict,
    Member,
    Outcome,
    Pick,
    PickReason,
    Refusal,
    RefusalReason,
    Selector,
)

BREAKER = BreakerSettings(failure_threshold=2, reset_timeout_s=10.0, jitter=0.0)
COOLDOWN = CooldownSettings(throttle=BackoffSettings(initial_s=0.1, max_s=5.0, jitter=0.0))


def make(size: int, **changes: Any) -> tuple[Selector, list[Member]]:
    """Return a selector over `size` endpoints named "0", "1" ... and these."""
    options: dict[str, Any] = {
        "breaker": BREAKER,
        "health": HealthSettings(unhealthy_after=1),
        "cooldown": COOLDOWN,
        "rng": Random(1),
    }
    selector = Selector(**{**options, **changes})
    return selector, [selector.add(str(number)) for number in range(size)]


def picked(selector: Selector, now: float, *tried: Member, **options: Any) -> Pick:
    pick = selector.pick(now, tried, **options)
    assert isinstance(pick, Pick), pick
    return pick


def eject(selector: Selector, *members: Member, now: float = 0.0) -> None:
    """Let calls at `members` fail until their breakers are open."""
    others = set(selector.members.values())
    for member in members:
        while member.breaker.state is BreakerState.CLOSED:
            pick = picked(selector, now, *(others - {member}))
            selector.finish(pick, Outcome.FAILURE if pick.member is member else Outcome.NEUTRAL, now)


def end(selector: Selector, pick: Pick, now: float, outcome: Outcome = Outcome.SUCCESS, **more: Any) -> None:
    selector.finish(pick, outcome, now, **more)


def test_all_members_in_use_get_their_share() -> None:
    selector, _ = make(3)
    picks = [picked(selector, 0.0) for _ in range(30)]
    assert Counter(pick.member.key for pick in picks) == {"0": 10, "1": 10, "2": 10}
    assert {pick.reason for pick in picks} == {PickReason.NORMAL}
    assert selector.statistics().in_flight == 30
    for pick in picks:
        end(selector, pick, 1.0, latency_s=0.25)
    statistics = selector.statistics()
    assert (statistics.in_flight, statistics.picks, statistics.ready) == (0, 30, 3)
    assert {member.statistics().successes for member in selector.members.values()} == {10}
    assert {member.latency_s for member in selector.members.values()} == {0.25}


def test_a_pick_is_finished_exactly_once() -> None:
    selector, (member,) = make(1)
    pick = picked(selector, 0.0)
    end(selector, pick, 0.0, Outcome.FAILURE)
    with pytest.raises(RuntimeError, match="second time"):
        end(selector, pick, 0.0, Outcome.FAILURE)
    assert (member.in_flight, member.failures, member.breaker.failures) == (0, 1, 1)


def test_an_empty_pool_refuses_and_waiting_does_not_help() -> None:
    selector, _ = make(0)
    assert selector.pick(0.0) == Refusal(RefusalReason.EMPTY, None)
    assert not selector.untried((), 0.0)


def test_endpoints_are_added_once_and_removed_once() -> None:
    selector, _ = make(2)
    with pytest.raises(ConfigurationError, match="already"):
        selector.add("1")
    selector.remove("1")
    with pytest.raises(KeyError):
        selector.remove("1")
    assert list(selector.members) == ["0"]
    assert picked(selector, 0.0).member.key == picked(selector, 0.0).member.key == "0"


def test_retries_go_elsewhere_first_and_then_a_second_round_is_allowed() -> None:
    selector, (a, b, c) = make(3)
    for _ in range(20):
        assert picked(selector, 0.0, a, b).member is c
    assert selector.untried((a, b, a), 0.0)
    assert not selector.untried((a, b, c), 0.0)
    assert len({picked(selector, 0.0, a, b, c).member for _ in range(20)}) > 1


def test_an_open_breaker_is_left_alone_until_its_probe_is_due() -> None:
    selector, (a, b, c) = make(3)
    eject(selector, a)
    assert selector.statistics().ejected == 1
    assert {picked(selector, 9.9).member for _ in range(20)} == {b, c}
    probe = picked(selector, 10.0)
    assert (probe.member, probe.probe, probe.reason) == (a, True, PickReason.PROBE)
    assert probe.transition is not None
    assert probe.transition.after is BreakerState.HALF_OPEN
    assert {picked(selector, 10.0).member for _ in range(20)} == {b, c}, "one probe at a time"
    end(selector, probe, 11.0)
    end(selector, picked(selector, 11.0), 11.0)
    assert a.breaker.state is BreakerState.CLOSED
    assert {picked(selector, 11.0).member for _ in range(3)} == {a, b, c}


def test_a_lost_probe_is_replaced_when_its_lease_ends() -> None:
    selector, (a, _) = make(2, breaker=BreakerSettings(failure_threshold=2, jitter=0.0, reset_timeout_s=10.0))
    eject(selector, a)
    lost = picked(selector, 10.0, lease_s=45.0)
    assert lost.member is a
    assert picked(selector, 54.9).member is not a
    again = picked(selector, 55.0)
    assert again.member is a
    assert again.reason is PickReason.PROBE
    end(selector, lost, 56.0)
    assert a.breaker.statistics().successes == 0
    assert a.in_flight == 1


def test_retries_and_careful_picks_are_not_risked_on_probes() -> None:
    selector, (a, b, c) = make(3)
    eject(selector, a)
    assert {picked(selector, 10.9, no_probe=True).member for _ in range(9)} == {b, c}
    assert picked(selector, 10.0, b).member is c
    assert selector.untried((b, c), 10.0)
    assert not selector.untried((b, c), 10.0, no_probe=True)
    assert picked(selector, 10.0, b, c, no_probe=True).member in (b, c)
    assert picked(selector, 10.0, b, c).member is a, "rather a probe than a second round"


def test_rather_a_probe_than_nothing() -> None:
    selector, (a,) = make(1)
    eject(selector, a)
    pick = picked(selector, 10.0, a, no_probe=True)
    assert (pick.member, pick.reason) == (a, PickReason.PROBE)


def test_failed_checks_take_a_member_out_and_passed_ones_bring_it_back() -> None:
    selector, (a, b, c) = make(3)
    assert selector.report_health(a, False, 0.0)
    assert not selector.report_health(a, False, 0.0)
    assert selector.statistics().unhealthy == 1
    assert {picked(selector, 0.0).member for _ in range(20)} == {b, c}
    assert not selector.untried((b, c), 0.0)
    assert selector.report_health(a, True, 1.0)
    assert {picked(selector, 1.0).member for _ in range(20)} == {a, b, c}


def test_when_too_many_checks_fail_they_are_not_believed() -> None:
    selector, (a, b, c, d) = make(4)
    for member in (a, b):
        selector.report_health(member, False, 0.0)
    assert {picked(selector, 0.0).member for _ in range(20)} == {c, d}
    selector.report_health(c, False, 0.0)
    assert selector.statistics().panic
    picks = [picked(selector, 0.0) for _ in range(40)]
    assert Counter(pick.member.key for pick in picks) == dict.fromkeys("0123", 10)
    assert {pick.reason for pick in picks if pick.member is d} == {PickReason.NORMAL}
    assert {pick.reason for pick in picks if pick.member is not d} == {PickReason.PANIC}
    assert selector.untried((d, a, b), 0.0)


def test_a_panic_ignores_checks_but_not_breakers() -> None:
    selector, (a, b, c) = make(3)
    eject(selector, a)
    for member in (a, b, c):
        selector.report_health(member, False, 0.0)
    assert {picked(selector, 1.0).member for _ in range(20)} == {b, c}
    assert picked(selector, 10.0).member is a, "and its probe is made as usual"


def test_without_a_threshold_there_is_no_panic_but_still_no_empty_pool() -> None:
    selector, (a, b) = make(2, panic_threshold=0.0)
    for member in (a, b):
        selector.report_health(member, False, 0.0)
    assert not selector.statistics().panic
    assert picked(selector, 0.0).reason is PickReason.PANIC


def test_an_unwell_member_is_not_probed_while_others_serve() -> None:
    selector, (a, b, c) = make(3)
    eject(selector, a)
    selector.report_health(a, False, 1.0)
    assert {picked(selector, 50.0).member for _ in range(20)} == {b, c}
    selector.report_health(a, True, 51.0)
    assert picked(selector, 51.0).member is a


def test_checks_that_are_switched_off_or_of_a_removed_member_say_nothing() -> None:
    selector, (a, _) = make(2, health=HealthSettings(enabled=False, unhealthy_after=1))
    assert not selector.report_health(a, False, 0.0)
    assert a.health.verdict is HealthVerdict.UNKNOWN
    selector, (a, _) = make(2)
    selector.remove("0")
    assert not selector.report_health(a, False, 0.0)


def test_a_member_that_asked_for_a_pause_gets_it() -> None:
    selector, (a, b) = make(2)
    pick = picked(selector, 0.0, b)
    end(selector, pick, 0.0, Outcome.THROTTLE, pushback_s=3.0)
    assert selector.statistics().cooling == 1
    assert {picked(selector, 2.9).member for _ in range(9)} == {b}
    assert not selector.untried((b,), 2.9)
    assert {picked(selector, 3.0).member for _ in range(9)} == {a, b}
    assert a.breaker.state is BreakerState.CLOSED


def test_pauses_without_a_hint_grow_with_each_refusal_and_end_with_a_success() -> None:
    selector, (a, b) = make(2)
    now, pauses = 0.0, []
    for _ in range(4):
        together = [picked(selector, now, b) for _ in range(3)]
        for pick in together:
            end(selector, pick, now, Outcome.THROTTLE)
        pauses.append(a.cool_until_s - now)
        now = a.cool_until_s
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8]), "refusals at the same time count as one"
    end(selector, picked(selector, now, b), now)
    end(selector, picked(selector, now, b), now, Outcome.THROTTLE)
    assert a.cool_until_s - now == pytest.approx(0.1)


def test_when_all_cool_down_they_share_the_load_rather_than_refuse() -> None:
    selector, members = make(3)
    for _ in members:
        end(selector, picked(selector, 0.0), 0.0, Outcome.THROTTLE, pushback_s=30.0)
    picks = [picked(selector, 1.0) for _ in range(30)]
    assert {pick.reason for pick in picks} == {PickReason.COOLING}
    assert len({pick.member for pick in picks}) == 3


def test_when_nothing_is_in_use_probes_are_forced_in_turn() -> None:
    selector, (a, b) = make(2)
    eject(selector, a, now=0.0)
    eject(selector, b, now=0.1)
    refusal = selector.pick(0.1)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is RefusalReason.ALL_EJECTED
    assert refusal.retry_at_s is not None
    assert 0.1 < refusal.retry_at_s <= 1.0
    first = picked(selector, refusal.retry_at_s)
    assert (first.member, first.reason, first.probe) == (a, PickReason.FORCED, True)
    second = picked(selector, 1.1, a)
    assert (second.member, second.reason) == (b, PickReason.FORCED)
    assert isinstance(selector.pick(1.1), Refusal), "one probe at a time"
    end(selector, first, 1.1, Outcome.FAILURE)
    assert isinstance(selector.pick(1.2), Refusal), "and each only once in an interval"
    assert picked(selector, refusal.retry_at_s + 1.0).member is a
    end(selector, second, 2.0)
    end(selector, picked(selector, 2.0), 2.0)
    assert picked(selector, 2.0).reason is PickReason.NORMAL


def test_much_that_comes_due_at_once_is_probed_by_one_pick_in_ten_until_probes_succeed() -> None:
    selector, members = make(200)
    eject(selector, *members[:150])
    reasons = Counter()  # type: Counter[PickReason]
    for _ in range(400):
        pick = picked(selector, 10.0)
        reasons[pick.reason] += 1
        end(selector, pick, 10.0, Outcome.FAILURE if pick.probe else Outcome.SUCCESS)
    assert reasons[PickReason.PROBE] == pytest.approx(10 + 40, abs=3)
    for _ in range(3000):
        end(selector, picked(selector, 40.0), 40.0)
    assert selector.statistics().ready == 200, "what is well again comes back without delay"


def test_it_says_what_it_is_made_of() -> None:
    selector, (a, _) = make(2)
    eject(selector, a)
    assert repr(a) == "<Member 0 open unknown, 0 in flight>"
    assert repr(picked(selector, 1.0)) == "<Pick 1 normal>"
    statistics = a.statistics()
    assert (statistics.key, statistics.state, statistics.failures) == ("0", BreakerState.OPEN, 2)
    assert statistics.attempts == 2


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("panic_threshold", 1.5),
        ("panic_threshold", -0.1),
        ("panic_probe_interval_s", 0.0),
        ("balancer", "best"),
    ],
)
def test_wrong_options_are_refused(option: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"best" if option == "balancer" else option):
        make(1, **{option: value})
