from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rpe.policy.timers import NEVER, Timers


class Sleeper:
    timer_s = NEVER


def pop_all(timers: Timers[Sleeper], now: float) -> list[Sleeper]:
    woken = []
    while (member := timers.pop_due(now)) is not None:
        woken.append(member)
    return woken


def test_members_wake_in_the_order_of_their_moments() -> None:
    timers: Timers[Sleeper] = Timers()
    late, soon = Sleeper(), Sleeper()
    assert timers.next_s == NEVER
    timers.wake(late, 9.0)
    timers.wake(soon, 3.0)
    assert timers.next_s == 3.0
    assert pop_all(timers, 2.9) == []
    assert pop_all(timers, 9.0) == [soon, late]
    assert timers.next_s == NEVER
    assert late.timer_s == NEVER


def test_an_earlier_moment_overtakes_and_a_later_one_adds_nothing() -> None:
    timers: Timers[Sleeper] = Timers()
    member = Sleeper()
    timers.wake(member, 9.0)
    timers.wake(member, 12.0)
    assert len(timers) == 1
    timers.wake(member, 3.0)
    assert pop_all(timers, 3.0) == [member]
    assert pop_all(timers, 100.0) == []


def test_a_cancelled_moment_never_comes() -> None:
    timers: Timers[Sleeper] = Timers()
    member = Sleeper()
    timers.wake(member, 9.0)
    timers.cancel(member)
    timers.cancel(member)
    assert pop_all(timers, 100.0) == []


def test_overtaken_moments_do_not_pile_up() -> None:
    timers: Timers[Sleeper] = Timers()
    for number in range(10_000):
        member = Sleeper()
        timers.wake(member, 1000.0 + number)
        timers.cancel(member)
    assert len(timers) <= 64


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30), st.sampled_from(["wake", "cancel", "pop"]))))
def test_every_member_wakes_at_its_earliest_moment_and_once(steps: list[tuple[int, int, str]]) -> None:
    timers: Timers[Sleeper] = Timers()
    members = [Sleeper() for _ in range(5)]
    expected: dict[Sleeper, float] = {}
    for number, at_s, what in steps:
        member = members[number]
        if what == "wake":
            timers.wake(member, at_s)
            expected[member] = min(at_s, expected.get(member, NEVER))
        elif what == "cancel":
            timers.cancel(member)
            expected.pop(member, None)
        else:
            due = {member for member, when_s in expected.items() if when_s <= at_s}
            woken = pop_all(timers, at_s)
            assert len(woken) == len(due)
            assert set(woken) == due
            for member in due:
                del expected[member]
        assert timers.next_s <= min(expected.values(), default=NEVER)
    assert set(pop_all(timers, 99.0)) == set(expected)
