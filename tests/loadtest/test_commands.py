from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rpe.chaos.guards import ScriptedFault
from rpe.chaos.world.world import Evidence, JournalLine, Means
from rpe.faults.actions import CutLink, SetBehaviour, Step
from rpe.load.messages import settings_from_json
from rpe.load.results import Results
from rpe.loadtest.commands import USERS, arguments, environment, locustfiles, worker_arguments
from rpe.loadtest.evidence import fired
from rpe.loadtest.reading import parse_plan
from rpe.loadtest.world import Pool
from tests.loadtest.saved import row

PLAN = """
name: two-workers
proves: What is told to Locust and to its users, and nothing more.
endpoints: {a: 'one:1', b: 'two:2'}
transport: http
client: {timeout_s: 3, token: test-value, retry: {max_retries: 0}}
load:
  - {name: calls, kind: unary, rate_per_s: 30, max_in_flight: 5, ramp: {from_per_s: 10, over_s: 2}}
  - {name: talks, kind: stream, rate_per_s: 4, input: speech, chunks: 7, stop_s: 60}
workers: 2
duration_s: 9
"""


def option(told: list[str], name: str) -> str:
    return told[told.index(name) + 1]


def test_each_process_is_a_source_of_each_load() -> None:
    plan = parse_plan(PLAN)
    told = arguments(plan, locustfiles(plan, Path()), 5557)
    assert (option(told, "--users"), option(told, "--run-time")) == ("4", "9s")
    assert (option(told, "--expect-workers"), option(told, "--master-bind-host")) == ("2", "127.0.0.1")
    assert option(told, "-f").endswith("users.py")
    assert option(worker_arguments(plan, "x.py", 5557), "--master-port") == "5557"
    assert "--master" not in arguments(plan, "x.py", None)


def test_the_rate_and_the_room_are_shared_among_the_sources() -> None:
    told = json.loads(environment(parse_plan(PLAN), {"a": "one:1"}, seed=3)[USERS])
    calls, talks = told["loads"]
    assert (calls["rate_per_s"], calls["ramp"], calls["max_in_flight"]) == (15, [5, 15, 2], 3)
    assert (talks["rate_per_s"], talks["chunks"], talks["stop_s"]) == (2, 7, 9)
    assert calls["seed"] != talks["seed"]
    assert told["config"] == {"token": "test-value"}
    settings = settings_from_json(told["settings"])
    assert (settings.timeout_s, settings.retry.max_retries) == (3, 0)


def test_nothing_of_our_own_environment_turns_locust_from_its_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCUST_USERS", "1000")
    monkeypatch.setenv("RPE_ENDPOINTS", "elsewhere:1")
    monkeypatch.setenv("KEPT", "yes")
    told = environment(parse_plan(PLAN), {"a": "one:1", "b": "two:2"}, seed=3)
    assert (told["RPE_ENDPOINTS"], told["RPE_TRANSPORT"], told["KEPT"]) == ("one:1,two:2", "http", "yes")
    assert "LOCUST_USERS" not in told


def test_users_of_a_file_are_started_as_the_plan_says(tmp_path: Path) -> None:
    head, _, tail = PLAN.partition("client:")
    users = "users: {file: own.py, count: 12, spawn_rate: 3, classes: [Caller]}\n"
    plan = parse_plan(head + users + tail[tail.index("workers:") :])
    told = arguments(plan, locustfiles(plan, tmp_path), None)
    assert (option(told, "--users"), option(told, "--spawn-rate"), told[-1]) == ("12", "3", "Caller")
    own, listening = option(told, "-f").split(",")
    assert own == str(tmp_path / "own.py")
    assert Path(listening).name == "listening.py"
    assert USERS not in environment(plan, {}, seed=3)


# --- did the faults act? ----------------------------------------------------------------------------------


@dataclass
class Seen:
    """A world that knows one thing of each action."""

    means: Means
    lines: Sequence[JournalLine] = ()

    async def evidence(self, key: str) -> Evidence:
        return Evidence("a", self.means, ((102.4, 104.0),), 0)

    async def journal(self) -> Sequence[JournalLine]:
        return self.lines


async def count(world: Any, action: Any, results: Results | None = None) -> int:
    fault = ScriptedFault("it", "kind", ("a",), (Step(0.0, "0", action),))
    ((_, times, _),) = await fired(Pool({"a": "one:1"}, world), [fault], results, origin_s=100.0)
    return times


async def test_a_cut_is_seen_by_the_attempts_that_failed_meanwhile() -> None:
    rows = [
        row(1, 0, failed=1, kind="attempt", name="calls @ one:1"),  # before
        row(2, 0, failed=2, kind="attempt", name="calls @ one:1"),
        row(3, 9, failed=4, kind="attempt", name="calls @ one:1"),
        row(3, 0, failed=8, kind="attempt", name="calls @ two:2"),  # elsewhere
        row(3, 0, failed=16, name="calls @ one:1"),  # no attempt
        row(4, 0, failed=32, kind="attempt", name="calls @ one:1"),  # after
    ]
    results = Results(100.0, 110.0, 0, 1, "2.47.0", rows)
    assert await count(Seen(Means.FAILURES), CutLink("a"), results) == 6
    assert await count(Seen(Means.FAILURES), CutLink("a")) == 0


async def test_a_script_is_seen_by_the_journals() -> None:
    lines = [JournalLine("a", "failed", at_s, {"server": "a", "call": str(at_s)}) for at_s in (101, 103)]
    assert await count(Seen(Means.SCRIPTED, lines), SetBehaviour("a", {})) == 1
    assert await count(Seen(Means.OBSERVED, lines), SetBehaviour("a", {})) == 0
