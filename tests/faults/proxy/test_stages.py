"""Each toxic's stage by itself, in virtual time: exact moments, sizes and counts."""

from __future__ import annotations

import pytest

from tests.support.stages import Bench

# --- latency ------------------------------------------------------------------------------------------------


def test_latency_counts_from_arrival_so_chunks_wait_side_by_side() -> None:
    bench = Bench("latency", latency=100)
    for _ in range(3):
        bench.feed(b"x")
        bench.pass_ms(10)
    bench.pass_ms(200)
    assert bench.sizes == [(100, 1), (110, 1), (120, 1)]
    assert bench.acted_on == [1, 1, 1]


def test_latency_moves_the_arrival_on_so_that_several_add_up() -> None:
    bench = Bench("latency", latency=100)
    bench.feed(b"x")
    bench.pass_ms(150)
    assert bench.arrivals == [100]


def test_a_late_chunk_holds_back_the_next() -> None:
    bench = Bench("latency", latency=50, jitter=50, seed=3)
    for number in range(200):
        bench.feed(bytes([number]))
        bench.pass_ms(1)
    bench.pass_ms(200)
    assert bench.data == bytes(range(200))


def test_jitter_is_drawn_per_chunk_and_flat() -> None:
    delays = []
    bench = Bench("latency", latency=10, jitter=10)
    for _ in range(2000):
        bench.feed(b"x")
        bench.pass_ms(25)
        delays.append(bench.sent[-1][0] % 25)
    assert min(delays) == 0
    assert max(delays) == 19
    for low in range(0, 20, 5):
        assert 400 < sum(low <= delay < low + 5 for delay in delays) < 600


def test_jitter_above_the_latency_never_makes_a_delay_negative() -> None:
    bench = Bench("latency", latency=0, jitter=5)
    for _ in range(50):
        bench.feed(b"x")
        bench.pass_ms(10)
    assert all(0 <= at_ms % 10 < 5 for at_ms, _ in bench.sent)
    assert all(left >= fed for left, fed in zip(bench.arrivals, range(0, 500, 10), strict=True))


def test_latency_holds_the_source_back_at_its_limit_only() -> None:
    bench = Bench("latency", latency=1000)
    chunk = bytes(1024 * 1024)
    for _ in range(32):
        bench.feed(chunk)
    assert not bench.held
    bench.feed(chunk)
    assert bench.held
    bench.pass_ms(1000)
    assert not bench.held


# --- bandwidth ----------------------------------------------------------------------------------------------


def test_bandwidth_waits_before_each_piece_of_a_tenth_of_a_second() -> None:
    bench = Bench("bandwidth", rate=100)
    bench.feed(bytes(25_000))
    bench.pass_ms(1000)
    assert bench.sizes == [(100, 10_000), (200, 10_000), (250, 5_000)]


def test_an_idle_line_saves_nothing_up() -> None:
    bench = Bench("bandwidth", rate=100)
    bench.pass_ms(10_000)
    bench.feed(bytes(5_000))
    bench.pass_ms(49.9)
    assert bench.sizes == []
    bench.pass_ms(0.2)
    assert bench.sizes == [(10_050, 5_000)]


@pytest.mark.parametrize("late_ms", [0.3, 1.0, 7.0])
def test_late_timers_do_not_lower_the_rate(late_ms: float) -> None:
    bench = Bench("bandwidth", rate=100)
    for _ in range(50):
        bench.feed(bytes(10_000))
    bench.pass_ms(5_000 + late_ms + 0.01, late_ms=late_ms)
    assert len(bench.data) == 500_000
    assert bench.sizes[-1][0] == pytest.approx(5_000 + late_ms)


def test_bandwidth_holds_the_source_back_and_lets_it_go() -> None:
    bench = Bench("bandwidth", rate=10)
    bench.feed(bytes(32_768))
    assert not bench.held
    bench.feed(bytes(32_768))
    bench.feed(b"x")
    assert bench.held
    stopped = Bench("bandwidth", rate=10)
    stopped.feed(bytes(100_000))
    assert stopped.held
    stopped.stage.stop()
    assert not stopped.held
    bench.pass_ms(3_270)
    assert bench.held
    bench.pass_ms(3_300)
    assert not bench.held


def test_a_rate_of_zero_flushes_when_it_stops() -> None:
    bench = Bench("bandwidth", rate=0)
    bench.feed(b"a")
    bench.feed(b"b")
    bench.stage.finish()
    bench.pass_ms(100_000)
    assert bench.sent == []
    bench.stage.stop()
    assert [data for _, data in bench.sent] == [b"a", b"b", None]


# --- slicer -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("average", "variation"), [(100, 0), (100, 10), (100, 100), (1, 0), (1, 1), (7, 3), (5000, 0)]
)
def test_slices_are_short_enough_and_lose_nothing(average: int, variation: int) -> None:
    bench = Bench("slicer", average_size=average, size_variation=variation)
    data = bytes(number % 251 for number in range(3_000))
    bench.feed(data)
    assert bench.data == data
    assert all(0 < size <= average + variation for _, size in bench.sizes)


def test_slices_without_variation_lie_between_half_the_average_and_the_average() -> None:
    bench = Bench("slicer", average_size=100)
    bench.feed(bytes(1_000))
    assert {size for _, size in bench.sizes} == {62, 63}


def test_slicer_waits_after_every_piece_the_last_too() -> None:
    bench = Bench("slicer", average_size=10, delay=5_000)
    bench.feed(bytes(20))
    bench.feed(bytes(10))
    bench.pass_ms(100)
    assert bench.sizes == [(0, 10), (5, 10), (10, 10)]


def test_slicing_a_large_chunk_finely_is_quick() -> None:
    bench = Bench("slicer", average_size=1)
    bench.feed(bytes(32_768))
    assert len(bench.sent) == 32_768


# --- closing ------------------------------------------------------------------------------------------------


def test_slow_close_waits_at_the_end_only() -> None:
    bench = Bench("slow_close", delay=100)
    bench.feed(b"x")
    bench.pass_ms(50)
    bench.stage.finish()
    bench.pass_ms(200)
    assert bench.sent == [(0, b"x"), (150, None)]


def test_timeout_discards_and_closes_at_a_fixed_time() -> None:
    bench = Bench("timeout", timeout=300)
    bench.pass_ms(200)
    bench.feed(b"lost")
    bench.pass_ms(200)
    assert bench.sent == []
    assert bench.ended == [(300, "close")]
    assert bench.acted_on == [4, 0]


def test_reset_peer_waits_for_the_first_chunk_and_takes_no_other_as_the_first() -> None:
    bench = Bench("reset_peer", timeout=100)
    bench.pass_ms(1_000)
    bench.feed(b"x")
    bench.pass_ms(50)
    bench.feed(b"y")
    bench.pass_ms(100)
    assert bench.ended == [(1_100, "reset")]
    assert bench.sent == []


def test_reset_peer_is_triggered_by_an_end() -> None:
    bench = Bench("reset_peer", timeout=0)
    bench.stage.finish()
    bench.pass_ms(0)
    assert bench.ended == [(0, "reset")]


def test_a_reset_peer_that_stops_waiting_passes_the_end_on() -> None:
    bench = Bench("reset_peer", timeout=100)
    bench.stage.finish()
    bench.stage.stop()
    bench.pass_ms(200)
    assert bench.ended == []
    assert bench.sent == [(0, None)]


@pytest.mark.parametrize("limit", [0, 1, 9, 10])
def test_limit_data_cuts_inside_a_chunk(limit: int) -> None:
    bench = Bench("limit_data", bytes=limit)
    bench.feed(b"0123456789")
    assert bench.data == b"0123456789"[:limit]
    assert bench.ended == [(0, "close")]


def test_limit_data_has_not_acted_before_it_closes() -> None:
    bench = Bench("limit_data", bytes=11)
    bench.feed(b"0123456789")
    assert bench.acted_on == []
    bench.feed(b"0123456789")
    assert bench.acted_on == [10]


def test_noop_passes_everything_and_never_counts_as_a_fault() -> None:
    bench = Bench("noop")
    bench.feed(b"x")
    bench.stage.finish()
    assert bench.sent == [(0, b"x"), (0, None)]
    assert bench.acted_on == []


# --- what all that hold bytes have in common ----------------------------------------------------------------

HOLDING = [
    ("latency", {"latency": 1000}, {"latency": 2000}),
    ("bandwidth", {"rate": 1}, {"rate": 2}),
    ("slicer", {"average_size": 10, "delay": 1_000_000}, {"average_size": 5, "delay": 1_000_000}),
]


@pytest.mark.parametrize(("kind", "before", "after"), HOLDING)
def test_an_update_lets_the_head_go_and_plans_the_rest_anew(
    kind: str, before: dict[str, int], after: dict[str, int]
) -> None:
    bench = Bench(kind, **before)
    bench.feed(b"a" * 100)
    bench.feed(b"b" * 100)
    bench.stage.finish()
    bench.pass_ms(10)
    bench.update(**after)
    assert bench.data.startswith(b"a" * 100)
    assert len(bench.data) < 200
    bench.pass_ms(100_000)
    assert bench.data == b"a" * 100 + b"b" * 100
    assert bench.sent[-1][1] is None


@pytest.mark.parametrize(("kind", "before", "after"), HOLDING)
def test_stopping_lets_everything_go_in_order_and_once(
    kind: str, before: dict[str, int], after: dict[str, int]
) -> None:
    bench = Bench(kind, **before)
    bench.feed(b"a" * 100)
    bench.feed(b"b" * 100)
    bench.stage.finish()
    bench.stage.stop()
    assert bench.data == b"a" * 100 + b"b" * 100
    assert bench.sent[-1][1] is None
    sent = list(bench.sent)
    bench.pass_ms(100_000)
    assert bench.sent == sent
