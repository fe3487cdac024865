"""Impairments stacked: order, seeds, counters, and the repetition of what was recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpe.errors import ConfigurationError
from rpe.faults.relay.decision import Decision
from rpe.faults.relay.draws import DrawLog, DrawRecord, Replay
from rpe.faults.relay.impairments import (
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

RATES = st.floats(0, 1)
ANY = st.one_of(
    st.builds(Loss, RATES),
    st.builds(BurstLoss, RATES, RATES, RATES, RATES),
    st.builds(Duplicate, RATES),
    st.builds(Corruption, RATES),
    st.builds(Bandwidth, st.integers(1, 10**6), st.integers(0, 10**5)),
    st.builds(Delay, st.floats(0, 1), st.floats(0, 1), st.booleans()),
    st.builds(Reorder, RATES, st.floats(0, 1)),
)
PACKETS = st.lists(st.tuples(st.integers(0, 1500), st.floats(0, 0.1)), max_size=40)


def stack(*given: Settings, seed: int = 1, **more: Any) -> Impairments:
    made = Impairments("a", "upstream", seed, **more)
    for number, one in enumerate(given):
        made.add(f"{one.kind}{number}", one)
    return made


def play(impairments: Impairments, packets: list[tuple[int, float]]) -> list[Decision]:
    now, decisions = 0.0, []
    for size, gap_s in packets:
        now += gap_s
        decisions.append(impairments.decide(size, now))
    return decisions


@given(st.lists(ANY, min_size=1, max_size=4), PACKETS, st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_equal_seeds_decide_equally_and_a_replay_decides_as_the_recording(
    given_settings: list[Settings], packets: list[tuple[int, float]], seed: int
) -> None:
    log = DrawLog()
    first = play(stack(*given_settings, seed=seed, log=log), packets)
    assert play(stack(*given_settings, seed=seed), packets) == first
    # Another seed, but the recorded decisions: as recorded, through JSON and back.
    records = [DrawRecord.from_json(json.loads(json.dumps(record.as_json()))) for record in log.records]
    assert records == list(log.records)
    again = stack(*given_settings, seed=seed + 1, replay=Replay(records))
    repeated = play(again, packets)
    assert [d.dropped_by for d in repeated] == [d.dropped_by for d in first]
    for one, other in zip(first, repeated, strict=True):
        assert [copy.flips for copy in one.deliveries] == [copy.flips for copy in other.deliveries]
        assert [c.at_s for c in one.deliveries] == pytest.approx([c.at_s for c in other.deliveries])
    original = stack(*given_settings, seed=seed)
    play(original, packets)
    assert {n: s.as_json() for n, s in again.stats.items()} == {
        n: s.as_json() for n, s in original.stats.items()
    }


@given(st.lists(ANY, min_size=1, max_size=4), PACKETS)
@settings(max_examples=60, deadline=None)
def test_nothing_leaves_before_it_came_and_every_packet_is_accounted_for(
    given_settings: list[Settings], packets: list[tuple[int, float]]
) -> None:
    impairments = stack(*given_settings)
    decisions = play(impairments, packets)
    now = 0.0
    for (_, gap_s), decision in zip(packets, decisions, strict=True):
        now += gap_s
        assert all(copy.at_s >= now for copy in decision.deliveries)
        assert (decision.dropped_by is None) is bool(decision.deliveries)
    met = [impairments.stats[name].packets for name, _ in impairments]
    assert met == sorted(met, reverse=True)
    assert met[0] == len(packets)


def test_other_seeds_links_streams_and_names_draw_otherwise() -> None:
    def losses(seed: int = 1, link: str = "a", stream: Any = "upstream", name: str = "x") -> list[bool]:
        made = Impairments(link, stream, seed)
        made.add(name, Loss(0.5))
        return [not made.decide(1, 0.0).deliveries for _ in range(64)]

    ways = [losses(), losses(seed=2), losses(link="b"), losses(stream="downstream"), losses(name="y")]
    assert losses() == ways[0]
    assert len({tuple(way) for way in ways}) == len(ways)


def test_the_draws_are_pinned() -> None:
    """A run of last year must be the same today."""
    made = stack(Loss(0.5), seed=42)
    assert "".join("." if made.decide(1, 0.0).deliveries else "x" for _ in range(32)) == PINNED


def test_adding_one_shifts_the_draws_of_no_other() -> None:
    alone, together = stack(Corruption(0.5)), Impairments("a", "upstream", 1)
    together.add("corruption0", Corruption(0.5))
    together.add("twice", Delay(0.5, 0.1))
    together.add("never", Loss(0.0))
    for _ in range(200):
        one, other = alone.decide(9, 0.0), together.decide(9, 0.0)
        assert one.deliveries[0].flips == other.deliveries[0].flips


def test_packets_meet_losses_first_and_delays_last_in_whatever_order_they_were_added() -> None:
    made = stack(Reorder(1, 1), Delay(1), Bandwidth(100), Corruption(1), Duplicate(1), Loss(0), Partition())
    assert [one.kind for _, one in made] == [
        "partition",
        "loss",
        "duplicate",
        "corruption",
        "bandwidth",
        "delay",
        "reorder",
    ]
    assert made.decide(1, 0.0).dropped_by == "partition6"
    assert made.stats["loss5"].packets == 0


def test_a_name_that_comes_back_goes_on_with_its_draws_and_counters() -> None:
    steady, flapping = stack(Loss(0.5)), stack(Loss(0.5))
    wanted = [steady.decide(1, 0.0).dropped_by for _ in range(60)]
    found = []
    for _ in range(3):
        found += [flapping.decide(1, 0.0).dropped_by for _ in range(20)]
        flapping.remove("loss0")
        assert flapping.decide(1, 0.0).deliveries, "nothing is lost meanwhile, and nothing is counted"
        flapping.add("loss0", Loss(0.5))
    assert found == wanted
    assert flapping.stats["loss0"].as_json() == steady.stats["loss0"].as_json()


def test_a_recording_is_lined_up_by_the_packets_that_met_impairments(tmp_path: Path) -> None:
    path = tmp_path / "draws.jsonl"
    with path.open("w") as file:
        first = stack(Loss(0.5), log=DrawLog(file))
        wanted = [first.decide(1, float(i)).dropped_by for i in range(30)]
    again = Impairments("a", "upstream", 99, replay=Replay.load(path))
    for i in range(17):  # a start-up that took longer this time
        assert again.decide(1, float(i)).deliveries
    again.add("loss0", Loss(0.0))
    assert [again.decide(1, float(i)).dropped_by for i in range(30)] == wanted
    assert again.decide(1, 31.0).dropped_by is None, "past the end of the recording, draws are made again"


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"link": "a"}', '{"link":"a","stream":"upstream","number":"x"}']
)
def test_what_is_no_recording_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "draws.jsonl"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"draws\.jsonl:1"):
        Replay.load(path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Replay.load(tmp_path / "none")


def test_names_are_taken_once_and_settings_change_in_place() -> None:
    made = stack(BurstLoss(1.0, 0.0))
    with pytest.raises(ConfigurationError, match="already"):
        made.add("burst_loss0", Loss(0.1))
    assert not made.decide(1, 0.0).deliveries
    made.update("burst_loss0", {"enter": 0.0})
    assert not made.decide(1, 0.0).deliveries, "the link is still in its bad state"
    with pytest.raises(ConfigurationError):
        made.update("burst_loss0", {"rate": 1})
    with pytest.raises(KeyError):
        made.update("none", {})
    with pytest.raises(KeyError):
        made.remove("none")
    made.remove("burst_loss0")
    assert len(made) == 0


PINNED = "xxxxxx..x....xxx.xx.x......xx..."
