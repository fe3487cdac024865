from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpe.errors import ConfigurationError
from rpe.policy import BALANCERS, LeastConnections, RandomChoice, RoundRobin, make_balancer

NAMES = sorted(BALANCERS)


@dataclass(eq=False)
class Endpoint:
    name: int
    in_flight: int = 0
    penalty: float = 0.0

    def load(self, now: float) -> float:
        return self.in_flight + self.penalty


def pool(size: int) -> list[Endpoint]:
    return [Endpoint(name) for name in range(size)]


def shares(
    name: str, members: list[Endpoint], picks: int, start: int = 0, stop: int | None = None
) -> Counter[int]:
    balancer = make_balancer(name, Random(1))
    stop = len(members) if stop is None else stop
    chosen = [balancer.choose(members, start, stop, 0.0) for _ in range(picks)]
    return Counter(member.name for member in chosen if member is not None)


def test_they_are_made_by_name() -> None:
    rng = Random(1)
    assert isinstance(make_balancer("round_robin", rng), RoundRobin)
    assert isinstance(make_balancer("least_connections", rng), LeastConnections)
    assert isinstance(make_balancer("random", rng), RandomChoice)
    with pytest.raises(
        ConfigurationError, match="no balancer 'rr'; known: round_robin, least_connections, random"
    ):
        make_balancer("rr", rng)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 10, 20])
def test_round_robin_gives_equal_shares_within_a_hundred_picks(size: int) -> None:
    counts = shares("round_robin", pool(size), 100)
    assert len(counts) == size
    assert max(counts.values()) - min(counts.values()) <= 1


def test_round_robin_begins_anywhere() -> None:
    members = pool(10)
    first = Counter()  # type: Counter[int]
    for seed in range(500):
        member = RoundRobin(Random(seed)).choose(members, 0, 10, 0.0)
        assert member is not None
        first[member.name] += 1
    assert len(first) == 10
    assert max(first.values()) < 2 * 50


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [2, 3, 8, 9, 30])
def test_idle_members_get_equal_shares(name: str, size: int) -> None:
    counts = shares(name, pool(size), 300 * size)
    assert len(counts) == size
    assert all(200 < count < 400 for count in counts.values())


@pytest.mark.parametrize("name", NAMES)
def test_only_the_part_of_the_list_that_it_is_shown_is_used(name: str) -> None:
    assert set(shares(name, pool(20), 300, 5, 9)) == {5, 6, 7, 8}
    assert set(shares(name, pool(40), 900, 10, 30)) == set(range(10, 30))


def test_round_robin_goes_on_when_its_part_of_the_list_moves() -> None:
    members = pool(20)
    balancer = RoundRobin(Random(3))
    for start, stop in [(0, 10), (5, 15), (15, 20), (0, 1), (3, 20), (0, 2)]:
        names = {
            getattr(balancer.choose(members, start, stop, 0.0), "name", None) for _ in range(stop - start)
        }
        assert names <= set(range(start, stop))


@pytest.mark.parametrize("size", [2, 5, 8])
def test_least_connections_finds_the_least_busy_of_a_small_pool(size: int) -> None:
    members = [Endpoint(name, in_flight=9 - name) for name in range(size)]
    assert shares("least_connections", members, 50) == {size - 1: 50}


def test_of_a_large_pool_it_compares_two_different_ones() -> None:
    members = pool(9)
    members[4].in_flight = 1
    assert 4 not in shares("least_connections", members, 2000), "it would win only against itself"


def test_least_connections_counts_recent_failures_as_load() -> None:
    members = pool(3)
    members[0].penalty = 10.0
    members[1].in_flight = members[2].in_flight = 4
    assert set(shares("least_connections", members, 100)) == {1, 2}
    members[1].in_flight = members[2].in_flight = 11
    assert set(shares("least_connections", members, 100)) == {0}


@pytest.mark.parametrize("size", [3, 20])
def test_least_connections_compares_penalties_in_pools_of_any_size(size: int) -> None:
    members = pool(size)
    for member in members[1:]:
        member.penalty = 1.0
    counts = shares("least_connections", members, 1000)
    assert counts[0] > (900 if size == 3 else 70)


@given(
    name=st.sampled_from(NAMES),
    size=st.integers(0, 40),
    tried=st.sets(st.integers(0, 39)),
    busy=st.lists(st.integers(0, 3), min_size=40, max_size=40),
    window=st.tuples(st.integers(0, 40), st.integers(0, 40)),
    seed=st.integers(0, 1000),
)
def test_what_was_tried_is_avoided_as_long_as_there_is_anything_else(
    name: str, size: int, tried: set[int], busy: list[int], window: tuple[int, int], seed: int
) -> None:
    members = [Endpoint(number, in_flight=busy[number]) for number in range(size)]
    start, stop = sorted(min(edge, size) for edge in window)
    avoid = tuple(members[number] for number in tried if number < size)
    free = [member for member in members[start:stop] if member not in avoid]
    chosen = make_balancer(name, Random(seed)).choose(members, start, stop, 0.0, avoid)
    assert chosen in free if free else chosen is None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [4, 12])
def test_retries_spread_over_all_others(name: str, size: int) -> None:
    members = pool(size)
    balancer = make_balancer(name, Random(1))
    counts: Counter[int] = Counter()
    for _ in range(300 * (size - 1)):
        member = balancer.choose(members, 0, size, 0.0, (members[0],))
        assert member is not None
        counts[member.name] += 1
    assert set(counts) == set(range(1, size))
    assert all(200 < count < 400 for count in counts.values()), "no neighbour gets more than the rest"
