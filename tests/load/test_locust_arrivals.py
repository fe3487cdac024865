"""Arrivals, result files and events of Locust runs. Locust runs as a process of its own (see `runs.py`)."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from pathlib import Path

import pytest

from rpe.fakes import FakeProcess, Kind
from rpe.load.results import Results, read_results
from tests.load.runs import HEADLESS, LIMIT_S, LOADTESTS, finished, locust, run_locust

ARRIVALS = """
from rpe import Manifest, Text
from rpe.locust import ArrivalUser, Execution

class Source(ArrivalUser):
    {settings}

    def work(self):
        return Execution(Manifest.single("echo", node_type="Echo"), Text("who?"))
"""


REQUESTS = """
from locust import events

SEEN = []

@events.request.add_listener
def see(request_type, name, response_time, response_length, exception, **_):
    SEEN.append((request_type, response_length, exception))

@events.quit.add_listener
def tell(**_):
    calls = [each for each in SEEN if each[0] == "execute"]
    missed = [each for each in SEEN if each[0] == "missed" and each[2] is not None]
    print(f"heard of {len(calls)}, {sum(each[1] for each in calls)} bytes, {len(missed)} missed")
"""


def arrivals(folder: Path, *settings: str) -> Path:
    """Write a locustfile with one source."""
    path = folder / "arrivals.py"
    path.write_text(ARRIVALS.format(settings="\n    ".join(settings)))
    return path


def summary(results: Results, kind: str = "execute") -> tuple[int, int, int]:
    series = results.series(kind)
    return series.count, series.failed, series.missed


async def until(fake: FakeProcess, kind: Kind, times: int) -> None:
    """Wait until the server has so many entries of a kind."""
    async with asyncio.timeout(LIMIT_S):
        while await seen(fake, kind) < times:  # noqa: ASYNC110 - it is a file of another process
            await asyncio.sleep(0.05)


async def seen(fake: FakeProcess, kind: Kind) -> int:
    return sum(each.kind is kind and each.method == "execute" for each in await fake.journal_entries())


async def test_a_run_leaves_a_result_events_and_percentiles(tmp_path: Path) -> None:
    file = arrivals(tmp_path, "rate_per_s = 100.0", "stop_s = 0.5")
    result = tmp_path / "result.jsonl"
    reading, writing = os.pipe()
    try:
        async with FakeProcess() as fake:
            env = {"RPE_ENDPOINTS": fake.endpoint, "RPE_LOAD_RESULT": str(result)}
            env["RPE_LOAD_EVENTS_FD"] = str(writing)
            options = ("--headless", "--only-summary", "-u", "1", "-t", "60s")
            async with locust(file, *options, env=env, pass_fds=(writing,)) as process:
                await until(fake, Kind.SENT, 50)
                process.terminate()
                run = await finished(process)
        assert run.code == 0, run.output
        events = [json.loads(line) for line in os.read(reading, 1 << 16).splitlines()]
    finally:
        os.close(reading)
        os.close(writing)
    found = read_results(result)
    assert summary(found) == summary(found, "attempt") == (50, 0, 0)
    assert (found.workers, found.users_peak) == (0, 1)
    assert {row.slot for row in found.rows} <= {0, 1}
    assert {row.worker for row in found.rows} == {"local"}
    assert [each["event"] for each in events if each["event"] != "users"] == ["started", "ended"]
    assert events[0]["monotonic_s"] == found.started_s
    assert {"event": "users", "count": 1} in events
    assert run.output.count("HDR") == 1
    (line,) = [
        each
        for each in run.output.partition("HDR")[2].split("\n\n")[0].splitlines()
        if each.startswith("execute")
    ]
    assert line.split()[:5] == ["execute", "echo", "50", "0", "0"]
    assert float(line.split()[-1]) == pytest.approx(found.series("execute").max_s * 1000, abs=0.001)


async def test_arrivals_that_could_not_start_are_failures_of_locust_and_counted_in_the_result(
    tmp_path: Path,
) -> None:
    file = arrivals(tmp_path, "rate_per_s = 100.0", "stop_s = 0.3", "max_in_flight = 2")
    file.write_text(file.read_text() + REQUESTS)  # who listens to Locust's event hears of each request
    result = tmp_path / "result.jsonl"
    async with FakeProcess(behaviour={"latency": {"fixed_s": 0.5}}) as fake:
        run = await run_locust(
            file, fake.endpoint, "-u", "1", "-t", "60s", "--stop-timeout", "10",
            until=until(fake, Kind.SENT, 2), RPE_LOAD_RESULT=str(result),
        )  # fmt: skip
    assert run.code == 1
    assert run.failed("missed", "echo") == 28
    assert run.requests("execute", "echo") == 2
    assert run.stats["execute", "echo"]["total_content_length"] == 8
    assert "heard of 2, 8 bytes, 28 missed\n" in run.output
    found = read_results(result)
    assert summary(found) == (2, 0, 28)
    assert found.series("execute").quantile_s(0.0) >= 0.5


@pytest.mark.slow
@pytest.mark.parametrize(("stop_timeout", "answered"), [("10", True), ("0", False)])
async def test_what_is_under_way_at_the_end_has_as_long_as_locust_gives_it(
    tmp_path: Path, stop_timeout: str, answered: bool
) -> None:
    file = arrivals(tmp_path, "rate_per_s = 20.0", "max_in_flight = 5")
    result = tmp_path / "result.jsonl"
    async with FakeProcess(behaviour={"latency": {"fixed_s": 1.0}}) as fake:
        await run_locust(
            file, fake.endpoint, "-u", "1", "-t", "60s", "--stop-timeout", stop_timeout,
            until=until(fake, Kind.RECEIVED, 5), RPE_LOAD_RESULT=str(result),
        )  # fmt: skip
        cancelled = await seen(fake, Kind.CANCELLED)
    assert summary(read_results(result))[:2] == ((5, 0) if answered else (0, 0))
    assert cancelled == (0 if answered else 5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("rate_per_s = 0.0", "Source: a rate must be a positive number"),
        ("max_in_flight = 0", "Source.max_in_flight is 0"),
    ],
)
async def test_arrivals_that_cannot_be_end_the_run_and_say_why(
    tmp_path: Path, setting: str, told: str
) -> None:
    run = await run_locust(arrivals(tmp_path, setting), "127.0.0.1:1", "-u", "1", "-t", "60s")
    assert run.code == 3
    assert run.output.count(told) == 1
    assert "Traceback" not in run.output


@pytest.mark.slow
async def test_workers_hand_their_figures_to_the_master_also_when_one_leaves_early(tmp_path: Path) -> None:
    file = arrivals(tmp_path, "rate_per_s = 100.0", "stop_s = 0.3", "max_in_flight = 50")
    result = tmp_path / "result.jsonl"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    bound = ("--master-bind-host", "127.0.0.1", "--master-bind-port", port)
    users = ("-u", "2", "-r", "2", "-t", "60s", "--stop-timeout", "5")
    master = ("--master", *bound, "--expect-workers", "2", *HEADLESS, *users)
    worker = ("--worker", "--master-host", "127.0.0.1", "--master-port", port)
    # The last answer of each comes 1.5 seconds after the end: later than Locust itself waits for a report.
    async with FakeProcess(behaviour={"latency": {"fixed_s": 1.8}}) as fake:
        env = {"RPE_ENDPOINTS": fake.endpoint}
        async with (
            locust(file, *master, env={"RPE_LOAD_RESULT": str(result)}) as first,
            locust(file, *worker, env=env) as second,
            locust(file, *worker, env=env) as third,
        ):
            await until(fake, Kind.RECEIVED, 60)
            third.terminate()
            first.terminate()
            run = await finished(first)
            await finished(second)
            await finished(third)
    found = read_results(result)
    assert summary(found) == (60, 0, 0), run.output
    assert len({row.worker for row in found.rows}) == found.workers == 2
    assert found.users_peak == 2


@pytest.mark.slow
async def test_the_example_ramps_up() -> None:
    async with FakeProcess() as fake:
        run = await run_locust(
            LOADTESTS / "arrivals.py", fake.endpoint, "-u", "1", "-t", "60s",
            until=until(fake, Kind.SENT, 40), RPE_RATES="20,100", RPE_RAMP_S="0.5",
        )  # fmt: skip
    assert run.code == 0, run.output
    assert run.requests("execute", "echo") >= 36
