"""The recorder: times from the run's start, names for addresses, and a client that reports nonsense."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rpe.chaos.history import HistoryWriter
from rpe.chaos.recorder import Recorder
from tests.support.scripted import VirtualClock


class Tape:
    def __init__(self, path: Path) -> None:
        self.clock = VirtualClock()
        self.writer = HistoryWriter(path, self.clock, 0.0)
        self.recorder = Recorder(self.writer, self.clock, {"127.0.0.1:9": "a"})

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.writer.path.read_text().splitlines()]


@pytest.fixture
def tape(tmp_path: Path) -> Iterator[Tape]:
    tape = Tape(tmp_path / "history.jsonl")
    yield tape
    tape.writer.close()


def test_times_count_from_the_beginning_and_are_zero_before(tape: Tape) -> None:
    tape.recorder.record("run.start", scenario="s")
    tape.clock.time_s = 1005.0
    assert tape.recorder.begin() == 1005.0
    tape.clock.time_s = 1006.5
    tape.recorder.record("window.open", window="w")
    tape.recorder.record_at(1006.25, "server.received", {"server": "a"})
    assert [(line["t"], line["e"]) for line in tape.lines()] == [
        (0.0, "run.start"),
        (1.5, "window.open"),
        (1.25, "server.received"),
    ]
    assert tape.recorder.now_s() == 1.5


def test_reports_get_names_for_addresses(tape: Tape) -> None:
    tape.recorder.report("attempt.start", {"op": "x-1", "endpoint": "127.0.0.1:9", "t": 99, "e": "forged"})
    tape.recorder.report("health", {"endpoint": "b", "healthy": False})
    first, second = tape.lines()
    assert first == {"t": 0.0, "e": "attempt.start", "op": "x-1", "endpoint": "a"}
    assert second["endpoint"] == "b"


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        ("operation.end", {"op": "x-1"}),
        ("attempt.start", {"op": object()}),
        ("attempt.start", {"timeout_s": float("nan")}),
        ("attempt.start", None),
    ],
)
def test_a_bad_report_is_the_clients_mistake_and_harms_nobody(tape: Tape, event: str, fields: Any) -> None:
    tape.recorder.report(event, fields)
    (line,) = tape.lines()
    assert line["e"] == "subject.error"
    assert event in line["message"]


def test_attempts_are_counted_by_operation_and_the_success_names_the_endpoint(tape: Tape) -> None:
    report = tape.recorder.report
    report("attempt.start", {"op": "x-1", "endpoint": "a"})
    report("attempt.end", {"op": "x-1", "endpoint": "a", "outcome": "failure"})
    report("attempt.start", {"op": "x-1", "endpoint": "b"})
    report("attempt.start", {"op": "x-1", "endpoint": "c"})
    report("attempt.end", {"op": "x-1", "endpoint": "b", "outcome": "success"})
    report("attempt.start", {"op": "x-2", "endpoint": "c"})
    report("attempt.start", {"endpoint": "c"})
    assert tape.recorder.attempts("x-1") == (3, "b")
    assert tape.recorder.attempts("x-2") == (1, "c")
    assert tape.recorder.attempts("x-3") == (None, None)


def test_secrets_stay_out_of_the_history(tape: Tape) -> None:
    tape.recorder.subject_error("close raised: token=s3cret")
    assert "s3cret" not in tape.writer.path.read_text()
