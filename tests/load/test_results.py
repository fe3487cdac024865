"""Histograms, rows that add up, and the file that has a run's result."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpe.load.histograms import HIGHEST_US, Histogram, encode_counts
from rpe.load.recording import Recorder
from rpe.load.results import ResultError, Results, read_results, write_results
from rpe.load.rows import Row, added
from rpe.load.tables import percentiles

values = st.lists(st.integers(1, HIGHEST_US), min_size=1, max_size=40)


@settings(max_examples=25, deadline=None)
@given(values, st.floats(0.0, 1.0))
def test_a_quantile_is_right_to_three_digits(found_us: list[int], q: float) -> None:
    histogram = Histogram()
    for value in found_us:
        histogram.record(value)
    exact = sorted(found_us)[max(0, math.ceil(q * len(found_us) - 1e-9) - 1)]
    assert histogram.quantile_us(q) == pytest.approx(exact, rel=0.001, abs=1)
    assert histogram.max_us == pytest.approx(max(found_us), rel=0.001)
    assert histogram.mean_us == pytest.approx(sum(found_us) / len(found_us), rel=0.001, abs=1)


@settings(max_examples=25, deadline=None)
@given(values, values)
def test_histograms_add_up_as_if_all_had_been_in_one(one: list[int], other: list[int]) -> None:
    both, total = Histogram(), Histogram()
    for value in [*one, *other]:
        both.record(value)
    for part in (one, other):
        total.add(encode_counts({value: part.count(value) for value in part}))
    assert (total.count, total.encode()) == (len(one) + len(other), both.encode())


def test_what_is_out_of_range_counts_as_the_nearest_and_nothing_is_none() -> None:
    histogram = Histogram()
    assert (histogram.count, histogram.max_us, histogram.mean_us, histogram.quantile_us(0.5)) == (
        0,
        0,
        0.0,
        0,
    )
    histogram.record(0)
    histogram.record(10 * HIGHEST_US)
    assert histogram.quantile_us(0.5) == 1
    assert histogram.max_us == pytest.approx(HIGHEST_US, rel=0.001)
    with pytest.raises(ValueError, match="quantile"):
        histogram.quantile_us(99)


@pytest.mark.parametrize("text", ["", "no", "AAAA", encode_counts({5: 1})[:-8], "é"])
def test_what_is_no_histogram_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="histogram"):
        Histogram().add(text)


def test_what_is_recorded_comes_out_once_by_the_second_in_which_it_was_due() -> None:
    recorder = Recorder(10.0)
    recorder.record("execute", "e", 10.2, 3.0, 5, None)
    recorder.record("execute", "e", 10.9, 0.002, 5, None)
    recorder.record("execute", "e", 11.0, 0.5, 9, "timeout")
    recorder.record("execute", "e", 9.0, 0.001, 0, None)
    recorder.miss("execute", "e", 12.5)
    (samples,) = recorder.take_samples()
    assert samples.as_json() == ["execute", "e", [3_000_000, 2000, 1000], 10, [(500_000, "timeout")], 1]
    rows = recorder.take_rows()
    assert [(row.slot, row.count, row.failures, row.missed, row.bytes) for row in rows] == [
        (0, 3, {}, 0, 10),
        (1, 1, {"timeout": 1}, 0, 0),
        (2, 0, {}, 1, 0),
    ]
    assert recorder.take_samples() == []
    assert recorder.take_rows() == []


def test_rows_of_one_slot_add_up_and_others_do_not() -> None:
    first = Row("execute", "e", 3, "a", 2, {"x": 1}, 1, 10, encode_counts({1000: 1}), encode_counts({5: 1}))
    more = Row(
        "execute", "e", 3, "a", 3, {"x": 1, "y": 1}, 0, 5, encode_counts({3000: 1}), encode_counts({7: 2})
    )
    other = Row("execute", "e", 3, "b", 1, {}, 0, 1, encode_counts({9: 1}))
    both, alone = added([first, other, more])
    assert (both.count, both.failures, both.missed, both.bytes) == (5, {"x": 2, "y": 1}, 1, 15)
    latencies = Histogram()
    latencies.add(both.histogram)
    assert latencies.count == 2
    assert latencies.max_us == pytest.approx(3000, rel=0.001)
    assert alone == other


def rows() -> list[Row]:
    """Three seconds of two workers: 1 ms for each call, one in the last second 2 s; and one failure each."""
    found = [
        Row(
            "execute", "e", slot, worker, 3, {"x": 1}, slot, 7,
            encode_counts({1000: 1, 2_000_000 if slot == 2 else 1000: 1} if slot == 2 else {1000: 2}),
            encode_counts({9_000_000: 1}),
        )
        for slot in range(3)
        for worker in ("a", "b")
    ]  # fmt: skip
    return [*found, Row("attempt", "e @ h:1", 0, "a", 1, histogram=encode_counts({500: 1}))]


def result() -> Results:
    return Results(50.0, 53.5, 2, 8, "2.47.0", rows())


def test_a_result_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "some" / "result.jsonl"
    write_results(path, result())
    found = read_results(path)
    assert (found.duration_s, found.workers, found.users_peak, found.locust) == (3.5, 2, 8, "2.47.0")
    assert sorted(found.rows, key=lambda row: row.key) == sorted(rows(), key=lambda row: row.key)
    assert found.kinds_names() == [("attempt", "e @ h:1"), ("execute", "e")]
    assert [each.name for each in path.parent.iterdir()] == ["result.jsonl"]


def test_a_series_has_all_workers_and_only_whole_slots() -> None:
    whole = result().series("execute")
    assert (whole.count, whole.failed, whole.ok, whole.missed, whole.bytes) == (18, 6, 12, 6, 42)
    assert whole.failures == {"x": 6}
    assert whole.rate_per_s == pytest.approx(18 / 3.5)
    assert whole.quantile_s(0.5) == pytest.approx(0.001, rel=0.001)
    assert whole.max_s == pytest.approx(2.0, rel=0.001)  # and not the nine seconds of those that failed
    assert whole.mean_s == pytest.approx((10 * 0.001 + 2 * 2.0) / 12, rel=0.001)
    assert whole.failed_latencies.max_us == pytest.approx(9_000_000, rel=0.001)
    part = result().series("execute", from_s=0.5, to_s=2.9)
    assert (part.count, part.span_s, part.rate_per_s) == (6, 1.0, 6.0)
    assert part.max_s == pytest.approx(0.001, rel=0.001)
    last = result().series("execute", from_s=2.0)
    assert (last.count, last.span_s) == (6, 1.5)


def test_a_series_of_nothing_is_all_zero() -> None:
    nothing = result().series("execute", "other", 1.2, 1.9)
    assert (nothing.count, nothing.span_s, nothing.rate_per_s, nothing.quantile_s(0.99)) == (0, 0.0, 0.0, 0.0)


def change(line: int, **fields: Any) -> Any:
    def changed(lines: list[str]) -> list[str]:
        lines[line - 1] = json.dumps(json.loads(lines[line - 1]) | fields)
        return lines

    return changed


@pytest.mark.parametrize(
    ("break_it", "told"),
    [
        (lambda lines: [], [(1, "is not JSON")]),
        (lambda lines: [*lines, "[1]"], [(9, "is no JSON object")]),
        (lambda lines: [*lines, lines[3]], [(9, "is in line 4 already")]),
        (change(1, rpe_load_result=2), [(1, "rpe_load_result must be 1")]),
        (change(1, ended_s=1.0), [(1, "ended_s lies before started_s")]),
        (change(3, count=4), [(3, "histogram has 2 values, but count and failures say 3")]),
        (
            change(3, failures={"x": 0}, extra=1),
            [(3, "extra is unknown"), (3, "failures must have a number")],
        ),
        (
            change(4, slot=-1, histogram="no"),
            [(4, "histogram this is no histogram"), (4, "slot must be a whole")],
        ),
        (change(4, kind="", missed=True), [(4, "kind must be a text"), (4, "missed must be a whole number")]),
    ],
)
def test_all_that_is_wrong_is_told_with_its_line(
    tmp_path: Path, break_it: Any, told: list[tuple[int, str]]
) -> None:
    path = tmp_path / "result.jsonl"
    write_results(path, result())
    path.write_text("\n".join(break_it(path.read_text().splitlines())))
    with pytest.raises(ResultError) as caught:
        read_results(path)
    assert [number for number, _ in caught.value.problems] == [number for number, _ in told]
    for (_, found), (_, wanted) in zip(caught.value.problems, told, strict=True):
        assert wanted in found
    assert f"line {told[0][0]}: " in caught.value.message


def test_the_table_has_a_line_for_each_kind_and_name() -> None:
    _, head, _, attempt, execute = percentiles(result())
    assert head.split() == ["Type", "Name", "count", "failed", "missed", "p50", "p90", "p99", "p99.9", "max"]
    assert attempt.split() == ["attempt", "e", "@", "h:1", "1", "0", "0", *["0.500"] * 5]
    assert execute.split()[:6] == ["execute", "e", "18", "6", "6", "1.000"]
    assert float(execute.split()[-1]) == pytest.approx(2000, rel=0.001)


def test_a_result_is_read_without_locust() -> None:
    script = (
        "import sys, rpe.load.results; print(*[n for n in ('locust', 'gevent', 'grpc') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
