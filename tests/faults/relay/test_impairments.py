"""Each impairment by itself: what it does to many datagrams, with no socket and no clock."""

from __future__ import annotations

import math
from itertools import groupby, pairwise
from typing import Any

import pytest

from rpe.errors import ConfigurationError
from rpe.faults.relay import impairments
from rpe.faults.relay.decision import Decision
from rpe.faults.relay.impairments import (
    IMPAIRMENTS,
    Bandwidth,
    BurstLoss,
    Corruption,
    Delay,
    Duplicate,
    Loss,
    Partition,
    Reorder,
    Settings,
)
from rpe.faults.relay.stack import Impairments

MANY = 10_000


def decided(
    *settings: Settings, n: int = MANY, gap_s: float = 0.001, size: int = 100, seed: int = 7
) -> list[Decision]:
    stack = Impairments("link", "upstream", seed)
    for number, one in enumerate(settings):
        stack.add(f"{one.kind}{number}", one)
    return [stack.decide(size, i * gap_s) for i in range(n)]


def lost(decisions: list[Decision]) -> list[bool]:
    return [not decision.deliveries for decision in decisions]


def within_four_sigma(share: float, rate: float, n: int = MANY) -> bool:
    return abs(share - rate) <= 4 * math.sqrt(rate * (1 - rate) / n)


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.2, 0.5, 1.0])
def test_random_loss_keeps_its_rate_within_the_bounds_of_the_binomial(rate: float) -> None:
    assert within_four_sigma(sum(lost(decided(Loss(rate)))) / MANY, rate)


def test_random_loss_is_memoryless() -> None:
    losses = lost(decided(Loss(0.2)))
    after_a_loss = [b for a, b in pairwise(losses) if a]
    assert within_four_sigma(sum(after_a_loss) / len(after_a_loss), 0.2, len(after_a_loss))


def test_a_higher_rate_only_adds_to_what_a_lower_one_loses() -> None:
    low, high = lost(decided(Loss(0.1))), lost(decided(Loss(0.3)))
    assert all(above for below, above in zip(low, high, strict=True) if below)


@pytest.mark.parametrize(("enter", "leave"), [(0.01, 0.25), (0.05, 0.5), (0.02, 0.1)])
def test_bursts_have_the_mean_length_and_the_share_of_gilbert(enter: float, leave: float) -> None:
    losses = lost(decided(BurstLoss(enter, leave)))
    bursts = [len(list(group)) for is_lost, group in groupby(losses) if is_lost]
    mean = sum(bursts) / len(bursts)
    sigma = ((1 - leave) ** 0.5 / leave) / len(bursts) ** 0.5  # of a geometric distribution's mean
    assert abs(mean - 1 / leave) <= 4 * sigma
    stationary = enter / (enter + leave)
    # Neighbours hang together, so the share varies more than a binomial one: by the mean burst, twice.
    assert abs(sum(losses) / MANY - stationary) <= 4 * (stationary * 2 / leave / MANY) ** 0.5


def test_elliott_loses_in_both_states() -> None:
    losses = lost(decided(BurstLoss(0.05, 0.05, loss=0.6, good_loss=0.1)))
    assert abs(sum(losses) / MANY - 0.35) < 0.05
    assert not any(lost(decided(BurstLoss(0.5, 0.5, loss=0.0))))


def test_partition_drops_everything_and_says_who_did() -> None:
    assert {decision.dropped_by for decision in decided(Partition(), n=10)} == {"partition0"}


def test_delay_keeps_order_unless_it_is_not_to() -> None:
    ordered = [d.deliveries[0].at_s for d in decided(Delay(0.05, 0.05), n=1000)]
    assert ordered == sorted(ordered)
    assert all(at_s >= i * 0.001 for i, at_s in enumerate(ordered))
    free = [
        d.deliveries[0].at_s - i * 0.001 for i, d in enumerate(decided(Delay(0.05, 0.02, keep_order=False)))
    ]
    assert min(free) >= 0.03 - 1e-9
    assert max(free) <= 0.07 + 1e-9
    assert abs(sum(free) / MANY - 0.05) < 0.001
    as_sent = [i * 0.001 + delay_s for i, delay_s in enumerate(free)]
    assert as_sent != sorted(as_sent)


def test_delays_add_up() -> None:
    decision = decided(Delay(0.05), Delay(0.02), n=1)[0]
    assert decision.deliveries[0].at_s == pytest.approx(0.07)


def test_reordering_holds_some_back_and_leaves_the_others_alone() -> None:
    decisions = decided(Delay(0.01), Reorder(0.25, 0.005))
    delays = [d.deliveries[0].at_s - i * 0.001 for i, d in enumerate(decisions)]
    held = [delay_s > 0.012 for delay_s in delays]
    assert within_four_sigma(sum(held) / MANY, 0.25)
    assert {round(delay_s, 6) for delay_s in delays} == {0.01, 0.015}


def test_duplication_sends_two_of_some() -> None:
    decisions = decided(Duplicate(0.3))
    assert within_four_sigma(sum(len(d.deliveries) == 2 for d in decisions) / MANY, 0.3)
    assert {len(d.deliveries) for d in decisions} == {1, 2}


def test_corruption_changes_one_byte_at_any_place() -> None:
    decisions = decided(Corruption(0.5), size=10)
    damaged = [d.deliveries[0] for d in decisions if d.deliveries[0].corrupted]
    assert within_four_sigma(len(damaged) / MANY, 0.5)
    data = bytes(range(10))
    places = set()
    for copy in damaged:
        differing = [i for i, (a, b) in enumerate(zip(data, copy.applied_to(data), strict=True)) if a != b]
        assert len(differing) == 1
        places.update(differing)
    assert places == set(range(10))
    assert not decided(Corruption(1.0), size=0, n=1)[0].deliveries[0].corrupted


def test_bandwidth_spaces_what_it_lets_through_and_drops_at_the_tail() -> None:
    # 100 bytes a millisecond come in, 50 go out: half is lost once the queue is full.
    decisions = decided(Bandwidth(50_000, queue_bytes=1000), n=2000)
    leaving = [d.deliveries[0].at_s for d in decisions if d.deliveries]
    assert all(b - a >= 0.002 - 1e-9 for a, b in pairwise(leaving))
    assert 0.45 < sum(lost(decisions)) / 2000 < 0.55
    waits = [d.deliveries[0].at_s - i * 0.001 for i, d in enumerate(decisions) if d.deliveries]
    assert max(waits) <= 1000 / 50_000 + 0.002 + 1e-9
    assert not any(lost(decisions[:10])), "the queue is filled before anything is lost"


def test_an_idle_narrow_link_lets_a_datagram_through_that_is_larger_than_its_queue() -> None:
    decisions = decided(Bandwidth(100_000, queue_bytes=10), n=5, gap_s=1.0)
    assert [d.deliveries[0].at_s - i for i, d in enumerate(decisions)] == pytest.approx([0.001] * 5)


def test_every_impairment_is_in_the_registry_by_its_name() -> None:
    assert set(IMPAIRMENTS) == {kind.kind for kind in IMPAIRMENTS.values()}
    exported = {getattr(impairments, name) for name in impairments.__all__ if name != "IMPAIRMENTS"}
    assert {kind for kind in exported if hasattr(kind, "kind")} == set(IMPAIRMENTS.values())


@pytest.mark.parametrize(
    ("kind", "attributes", "complaint"),
    [
        ("loss", {"rate": 1.5}, "between 0 and 1"),
        ("loss", {"rate": True}, "must be a number"),
        ("loss", {"rate": float("nan")}, "must be a number"),
        ("loss", {"rate": "0.1"}, "must be a number"),
        ("loss", {}, "needs the setting 'rate'"),
        ("loss", {"rate": 0.1, "burst": 1}, "no setting 'burst'"),
        ("delay", {"delay_s": -1}, "negative"),
        ("delay", {"delay_s": 1, "keep_order": 1}, "true or false"),
        ("bandwidth", {"rate_bytes_per_s": 0}, "1 or more"),
        ("bandwidth", {"rate_bytes_per_s": 1.5}, "whole number"),
        ("partition", {"rate": 1}, "no setting 'rate'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    kind: str, attributes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        IMPAIRMENTS[kind].of(attributes)


def test_settings_change_all_or_nothing() -> None:
    settings = BurstLoss(0.1, 0.5)
    assert settings.changed({"loss": 0.9}) == BurstLoss(0.1, 0.5, loss=0.9)
    with pytest.raises(ConfigurationError):
        settings.changed({"loss": 0.9, "leave": 2})
    assert settings.as_attributes() == {"enter": 0.1, "leave": 0.5, "loss": 1.0, "good_loss": 0.0}
