"""Comparing load tests: only what lies apart in all runs is a difference."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rpe.cli.app import app
from rpe.errors import ConfigurationError
from rpe.load.histograms import Histogram
from rpe.load.results import Results, write_results
from rpe.load.rows import Row
from rpe.loadtest.comparing import Judgement, chance, compare, runs_of


def a_run(latency_us: int, *, failed: int = 0, count: int = 100, name: str = "echo") -> Results:
    good = Histogram()
    good.record(latency_us, count - failed)
    failures = {"remote_timeout": failed} if failed else {}
    row = Row("execute", name, 0, count=count, failures=failures, histogram=good.encode())
    return Results(0.0, 1.0, 0, 1, "2.47.0", (row,))


def judged(
    before: Sequence[Results], after: Sequence[Results], tolerance: float = 0.0
) -> dict[str, Judgement]:
    return {row.measure: row.judgement for row in compare(before, after, tolerance=tolerance).rows}


def runs(*latencies_us: int) -> list[Results]:
    return [a_run(latency_us) for latency_us in latencies_us]


def test_what_lies_apart_in_all_runs_is_better_or_worse() -> None:
    assert judged(runs(1000, 1100, 1050), runs(2000, 2100, 1900))["p50_s"] is Judgement.WORSE
    assert judged(runs(2000, 2100, 1900), runs(1000, 1100, 1050))["p50_s"] is Judgement.BETTER


def test_one_run_that_lies_among_the_others_makes_it_noise() -> None:
    assert judged(runs(1000, 1100, 1950), runs(2000, 2100, 1900))["p50_s"] is Judgement.NOISE


def test_more_per_second_is_better_and_more_failures_are_worse() -> None:
    slow, fast = [a_run(1000, count=n) for n in (100, 101)], [a_run(1000, count=n) for n in (120, 121)]
    assert judged(slow, fast)["rate_per_s"] is Judgement.BETTER
    assert judged(fast, slow)["rate_per_s"] is Judgement.WORSE
    broken = [a_run(1000, failed=n) for n in (5, 6)]
    assert judged(runs(1000, 1000), broken)["error_ratio"] is Judgement.WORSE


def test_a_change_within_the_tolerance_does_not_matter() -> None:
    assert judged(runs(1000, 1001), runs(1020, 1021), 0.05)["p50_s"] is Judgement.NOISE
    assert judged(runs(1000, 1001), runs(1120, 1121), 0.05)["p50_s"] is Judgement.WORSE


def test_single_runs_have_no_noise_to_compare_with() -> None:
    comparison = compare(runs(1000), runs(9000, 9100))
    assert comparison.judgement is Judgement.UNKNOWN
    assert comparison.rows[3].change == pytest.approx(8.05, abs=0.02)


def test_how_likely_it_is_by_chance() -> None:
    assert chance(3, 3) == pytest.approx(0.1)
    assert chance(5, 5) == pytest.approx(2 / 252)
    assert chance(1, 1) == 1.0


def test_two_tests_of_different_things_are_not_compared() -> None:
    with pytest.raises(ConfigurationError, match="no operation in common"):
        compare(runs(1000), [a_run(1000, name="other")])


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for side, latencies in (("a", (1000, 1100)), ("b", (2000, 2100))):
        for number, run in enumerate(runs(*latencies), 1):
            write_results(tmp_path / side / f"run-{number}" / "result.jsonl", run)
    return tmp_path / "a", tmp_path / "b"


def test_the_command_says_what_is_worse(folders: tuple[Path, Path]) -> None:
    before, after = folders
    assert len(runs_of(before)) == 2
    result = CliRunner().invoke(app, ["load", "compare", str(before), str(after)])
    assert result.exit_code == 1, result.output
    line = next(line for line in result.output.splitlines() if "p50_s" in line)
    assert line.startswith("execute echo  p50_s")
    assert line.endswith("worse")
    assert CliRunner().invoke(app, ["load", "compare", str(after), str(before)]).exit_code == 0


def test_the_command_refuses_a_folder_without_runs(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    result = CliRunner().invoke(app, ["load", "compare", str(folders[0]), str(tmp_path / "nothing")])
    assert result.exit_code == 2
    assert "holds no load run" in result.output


def test_single_runs_end_with_unknown(folders: tuple[Path, Path]) -> None:
    one = str(folders[0] / "run-1")
    assert CliRunner().invoke(app, ["load", "compare", one, one]).exit_code == 3
