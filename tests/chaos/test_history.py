"""Histories: written line by line, read whole or cut short, joined to records."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from rpe.chaos.history import History, HistoryError, HistoryWriter
from rpe.clock import SystemClock
from tests.support.runs import good_stream, good_unary, history


class StoppedClock(SystemClock):
    """A clock that stands still until it is set."""

    def __init__(self, at_s: float) -> None:
        self.at_s = at_s

    def now(self) -> float:
        return self.at_s


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_each_event_is_a_line_with_its_time_since_the_start(tmp_path: Path) -> None:
    clock = StoppedClock(100.0)
    with HistoryWriter(tmp_path / "history.jsonl", clock, started_at=99.5) as writer:
        writer.write("run.start", scenario="slow-primary", seed=7)
        clock.at_s = 101.25
        writer.write("operation.missed", op="calls-1", due_s=1.5, reason="überlastet")
        writer.write_at(0.25, "server.received", {"server": "a"})

    assert lines(tmp_path / "history.jsonl") == [
        {"t": 0.5, "e": "run.start", "scenario": "slow-primary", "seed": 7},
        {"t": 1.75, "e": "operation.missed", "op": "calls-1", "due_s": 1.5, "reason": "überlastet"},
        {"t": 0.25, "e": "server.received", "server": "a"},
    ]


def test_what_is_written_is_on_its_way_before_the_file_is_closed(tmp_path: Path) -> None:
    writer = HistoryWriter(tmp_path / "history.jsonl", StoppedClock(0.0), started_at=0.0)
    try:
        writer.write("run.start")

        assert len(lines(tmp_path / "history.jsonl")) == 1
    finally:
        writer.close()
    writer.close()
    with pytest.raises(ValueError, match="closed"):
        writer.write("run.end", reason="finished")


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"t": 1.0}, TypeError),
        ({"e": "other"}, TypeError),
        ({"value": object()}, TypeError),
        ({"value": math.nan}, ValueError),
        ({"value": math.inf}, ValueError),
    ],
)
def test_what_json_does_not_have_is_refused_and_nothing_is_written(
    tmp_path: Path, fields: dict[str, Any], error: type[Exception]
) -> None:
    with HistoryWriter(tmp_path / "history.jsonl", StoppedClock(0.0), started_at=0.0) as writer:
        with pytest.raises(error):
            writer.write_at(0.0, "attempt.end", fields)

        assert lines(tmp_path / "history.jsonl") == []


def saved(path: Path, told: list[tuple[float, str, dict[str, Any]]]) -> Path:
    with HistoryWriter(path, StoppedClock(0.0), started_at=0.0) as writer:
        for t, name, fields in told:
            writer.write_at(t, name, fields)
    return path


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    told = good_unary()

    read = History.load(saved(tmp_path / "history.jsonl", told))

    assert not read.cut
    assert read.operations == history(told).operations
    assert read.attempts == history(told).attempts
    assert read.server_events == history(told).server_events


@pytest.mark.parametrize("missing", [1, 10, 30])
def test_a_last_line_that_was_cut_short_is_left_out_and_told(tmp_path: Path, missing: int) -> None:
    path = saved(tmp_path / "history.jsonl", good_unary())
    path.write_bytes(path.read_bytes()[:-missing])

    read = History.load(path)

    assert read.cut
    assert len(read.events) == len(good_unary()) - 1
    assert read.end_reason is None
    assert "cut" in repr(read)


@pytest.mark.parametrize(
    "line", ["{", "[]", "3", '{"t": 1}', '{"e": "x"}', '{"t": "soon", "e": "x"}', "\\x00"]
)
def test_a_broken_line_in_the_middle_is_an_error_with_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(f'{{"t":0,"e":"run.start"}}\n{line}\n{{"t":1,"e":"run.end"}}\n', encoding="utf-8")

    with pytest.raises(HistoryError, match=r"line 2 of history\.jsonl"):
        History.load(path)


def test_an_empty_history_is_empty(tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").write_bytes(b"")

    read = History.load(tmp_path / "history.jsonl")

    assert (read.events, read.operations, read.end_s, read.end_reason) == ((), {}, 0.0, None)


def test_starts_are_joined_with_their_ends() -> None:
    operation = history(good_unary()).operations["calls-4"]

    assert (operation.due_s, operation.started_s, operation.ends) == (0.4, 0.4, 1)
    assert operation.ended_s == pytest.approx(0.41)
    assert (operation.outcome, operation.endpoint, operation.latency_s) == ("ok", "b", 0.01)
    assert operation.response_hash == "answer-calls-4"


def test_of_two_ends_the_first_counts_and_both_are_counted() -> None:
    told = [*good_unary(), (5.0, "operation.end", {"op": "calls-4", "outcome": "failed"})]

    operation = history(told).operations["calls-4"]

    assert (operation.ends, operation.outcome) == (2, "ok")


def test_a_latency_that_is_not_told_counts_from_when_it_was_due() -> None:
    start = {"op": "x-0", "workload": "x", "kind": "unary", "due_s": 1.0}
    told = history([(1.2, "operation.start", start), (1.5, "operation.end", {"op": "x-0", "outcome": "ok"})])

    assert told.operations["x-0"].latency_s == pytest.approx(0.5)


def test_attempts_are_joined_and_an_end_alone_is_an_attempt() -> None:
    told = history(
        [
            (1.0, "attempt.start", {"op": "x-0", "attempt": 1, "endpoint": "a", "probe": True}),
            (1.3, "attempt.end", {"op": "x-0", "attempt": 1, "endpoint": "a", "outcome": "failure"}),
            (
                2.0,
                "attempt.end",
                {"op": "x-0", "attempt": 2, "endpoint": "b", "outcome": "success", "duration_s": 0.4},
            ),
            (3.0, "attempt.start", {"op": "x-1", "attempt": 1, "endpoint": "b"}),
        ]
    )

    seen = [(a.op, a.endpoint, a.started_s, a.ended_s, a.outcome, a.probe) for a in told.attempts]
    assert seen == [
        ("x-0", "a", 1.0, 1.3, "failure", True),
        ("x-0", "b", pytest.approx(1.6), 2.0, "success", False),
        ("x-1", "b", 3.0, None, None, False),
    ]


def test_chunks_are_joined_with_their_answers() -> None:
    chunk = history(good_stream()).chunks["calls-2", 3]

    assert chunk.due_s == pytest.approx(2.06)
    (answer,) = chunk.answers
    assert (answer.hash, answer.latency_s) == ("out-3", 0.005)


def test_faults_and_windows_are_joined() -> None:
    told = history(good_unary())

    fault, window = told.faults["slow"], told.windows["slow"]
    assert (fault.kind, fault.on, fault.applied_s, fault.verified, fault.healed_s) == (
        "latency",
        ("a",),
        1.05,
        True,
        2.1,
    )
    assert (fault.fired, fault.error) == (3, None)
    assert (window.opened_s, window.closed_s) == (1.05, 2.1)
    assert told.last_heal_s == 2.1


def test_the_last_heal_is_not_known_while_a_fault_is_in_force() -> None:
    told = [*good_unary(), (3.0, "fault.apply", {"fault": "later", "kind": "down", "on": ["b"]})]

    assert history(told).last_heal_s is None


def test_a_record_is_computed_once() -> None:
    told = history(good_unary())
    calls: list[History] = []

    def compute(given: History) -> int:
        calls.append(given)
        return 42

    assert (told.once(compute), told.once(compute)) == (42, 42)
    assert calls == [told]
    assert told.operations is told.operations
