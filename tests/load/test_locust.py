"""Locust with pipeline users against real servers, as processes of their own.

Locust is never imported here: it lets gevent patch the process that imports it, and gRPC's
asyncio client, which other tests use, waits for ever in such a process.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from rpe.fakes import FakeProcess, Kind
from rpe.load.results import read_results
from tests.load.runs import HEADLESS, LIMIT_S, LOADTESTS, LOCUST, engine_of, finished, locust, run_locust

UNARY = LOADTESTS / "unary.py"
FOUR = ("-u", "4", "-r", "4", "-t", "60s")


SCRIPT = ("-c", "from rpe.cli import main; main()", "load")


async def calls_at(fake: FakeProcess, method: str = "execute", kind: Kind = Kind.RECEIVED) -> int:
    """How many calls the server itself has seen."""
    entries = await fake.journal_entries()
    return sum(entry.kind is kind and entry.method == method for entry in entries)


async def called(fake: FakeProcess, times: int, method: str = "execute", kind: Kind = Kind.RECEIVED) -> None:
    """Wait until the server has been called so often."""
    async with asyncio.timeout(LIMIT_S):
        while await calls_at(fake, method, kind) < times:  # noqa: ASYNC110 - it is a file of another process
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("transport", ["grpc", "http", "webrtc"])
async def test_calls_and_attempts_are_counted_as_the_server_counts_them(transport: str) -> None:
    async with FakeProcess(transport=transport) as fake:
        command = SCRIPT if transport == "http" else LOCUST
        run = await run_locust(
            UNARY, fake.endpoint, *FOUR, until=called(fake, 40), RPE_TRANSPORT=transport, command=command
        )
        seen = await calls_at(fake)
    assert run.code == 0, run.output
    calls, attempts = run.requests("execute", "echo"), run.requests("attempt", f"echo @ {fake.endpoint}")
    assert calls >= 36
    assert calls == attempts
    assert calls <= seen <= calls + 4  # what each user had begun when the time was over
    assert run.failures == []
    row = run.stats["execute", "echo"]
    assert row["min_response_time"] > 0
    assert row["total_content_length"] == calls * len("the quick brown fox jumps over the lazy dog")


async def test_an_endpoint_that_fails_is_seen_in_the_attempts_and_not_in_the_calls() -> None:
    always = {"error": {"status": "unavailable", "message": "out to lunch"}}
    async with FakeProcess("good") as good, FakeProcess("bad", behaviour=always) as bad:
        both = f"{good.endpoint},{bad.endpoint}"
        run = await run_locust(UNARY, both, *FOUR, until=called(bad, 5))
    assert run.failed("execute", "echo") == 0
    assert run.failed("attempt", f"echo @ {good.endpoint}") == 0
    assert run.failed("attempt", f"echo @ {bad.endpoint}") == run.requests(
        "attempt", f"echo @ {bad.endpoint}"
    )
    assert run.requests("attempt", f"echo @ {bad.endpoint}") >= 5  # as many as open its breaker
    ((times, text),) = run.failures
    assert times == run.failed("attempt", f"echo @ {bad.endpoint}")
    assert text.startswith("attempt echo @")
    assert "out to lunch" in text
    assert run.code == 1


async def test_calls_that_fail_are_failures_of_one_line_each() -> None:
    broken = {"error": {"status": "invalid_argument", "message": "node 7 has no voice"}}  # no retry can help
    async with FakeProcess(behaviour=broken) as fake:
        run = await run_locust(UNARY, fake.endpoint, *FOUR, until=called(fake, 10))
    assert run.code == 1
    assert 0 < run.failed("execute", "echo") == run.requests("execute", "echo")
    ((times, text),) = [(times, text) for times, text in run.failures if text.startswith("execute echo: ")]
    assert "node # has no voice" in text
    assert times == run.failed("execute", "echo")


async def test_each_chunk_of_a_session_is_counted() -> None:
    async with FakeProcess() as fake:
        run = await run_locust(
            LOADTESTS / "streaming.py", fake.endpoint, *FOUR,
            until=called(fake, 6, "stream", Kind.SENT), RPE_SESSION_S="0.4",
        )  # fmt: skip
    assert run.code == 0, run.output
    sessions, opened = run.requests("stream", "voice"), run.requests("open", "voice")
    assert 2 <= sessions <= opened <= sessions + 4
    assert sessions * 20 <= run.requests("chunk", "voice") <= opened * 20
    # Twenty chunks, one each 20 ms: the last is due after 380 ms, and the session cannot be shorter.
    assert run.stats["stream", "voice"]["min_response_time"] >= 380
    assert run.requests("attempt", f"voice @ {fake.endpoint}") == sessions


@pytest.mark.slow
async def test_a_spike_comes_and_goes(tmp_path: Path) -> None:
    async with FakeProcess() as fake:
        run = await run_locust(
            LOADTESTS / "spike.py", fake.endpoint, "--logfile", str(tmp_path / "log"),
            RPE_SPIKE_S="1,1.5,0.5", RPE_SPIKE_USERS="1,6",
        )  # fmt: skip
    assert run.code == 0, run.output
    assert run.requests("execute", "echo") > 0
    log = (tmp_path / "log").read_text()
    assert '{"Visitor": 1}' in log
    assert '{"Visitor": 6}' in log


async def test_an_engine_that_is_killed_ends_the_run_with_errors() -> None:
    async with FakeProcess(behaviour={"hang": {}}) as fake:
        told = (*HEADLESS, "-u", "4", "-r", "4", "-t", "60s")
        async with locust(UNARY, *told, env={"RPE_ENDPOINTS": fake.endpoint}) as process:
            engine = await engine_of(process.pid)
            await called(fake, 4)
            engine.kill()
            run = await finished(process)
    assert run.code == 3
    assert run.failed("execute", "echo") == 4
    assert "the load engine ended (signal 9)" in run.output


async def test_an_engine_ends_with_a_locust_that_is_killed() -> None:
    async with FakeProcess(behaviour={"hang": {}}) as fake:
        told = (*HEADLESS, "-u", "1", "-t", "60s")
        async with locust(UNARY, *told, env={"RPE_ENDPOINTS": fake.endpoint}) as process:
            engine = await engine_of(process.pid)
            await called(fake, 1)
            process.kill()
            await asyncio.to_thread(psutil.wait_procs, [engine], timeout=10)
            assert not engine.is_running()


LEAVING = """
import os
from locust import LoadTestShape

class Leave(LoadTestShape):
    def tick(self):
        return (0 if os.path.exists(os.environ["LEAVE"]) else 1, 1)
"""


async def test_a_user_that_is_stopped_takes_its_call_with_it(tmp_path: Path) -> None:
    locustfile = tmp_path / "leaving.py"
    locustfile.write_text(UNARY.read_text() + LEAVING)
    leave = tmp_path / "leave"
    async with (
        FakeProcess(behaviour={"hang": {}}) as fake,
        locust(locustfile, *HEADLESS, env={"RPE_ENDPOINTS": fake.endpoint, "LEAVE": str(leave)}) as process,
    ):
        engine = await engine_of(process.pid)
        await called(fake, 1)  # a user that left before would have no call to take with it
        leave.touch()
        await called(fake, 1, kind=Kind.CANCELLED)
        assert engine.is_running()  # so it was not its end that cancelled the call


async def test_a_wrong_setting_ends_the_run_at_once_and_is_told_once() -> None:
    run = await run_locust(UNARY, "127.0.0.1:1", "-u", "3", "-r", "3", "-t", "60s", RPE_TRANSPORT="pigeon")
    assert run.code == 3
    assert run.output.count("no transport is named 'pigeon'") == 1
    assert "Traceback" not in run.output


async def test_users_without_endpoints_end_the_run_at_once_and_say_so(tmp_path: Path) -> None:
    none = tmp_path / "none.py"
    none.write_text(UNARY.read_text().replace('endpoints = ("127.0.0.1:50051",)', ""))
    run = await run_locust(none, "", "-u", "3", "-r", "3", "-t", "60s")
    assert run.code == 3
    assert run.output.count("Caller has no endpoints") == 1


@pytest.mark.slow
async def test_processes_that_locust_forks_have_an_engine_each() -> None:
    async with FakeProcess() as fake:
        run = await run_locust(UNARY, fake.endpoint, *FOUR, "--processes", "2", until=called(fake, 40))
        seen = await calls_at(fake)
    assert run.code == 0, run.output
    assert 36 <= run.requests("execute", "echo") <= seen


async def test_a_master_and_two_workers(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    bound = ("--master-bind-host", "127.0.0.1", "--master-bind-port", port)
    master = ("--master", *bound, "--expect-workers", "2", *HEADLESS, *FOUR)
    worker = ("--worker", "--master-host", "127.0.0.1", "--master-port", port)
    # Each has a server of its own: of a common one nobody could tell whether both of them have called.
    async with FakeProcess() as one, FakeProcess() as other:
        async with (
            locust(UNARY, *master, env={"RPE_LOAD_RESULT": str(tmp_path / "result")}) as first,
            locust(UNARY, *worker, env={"RPE_ENDPOINTS": one.endpoint}) as second,
            locust(UNARY, *worker, env={"RPE_ENDPOINTS": other.endpoint}) as third,
        ):
            await called(one, 20)
            await called(other, 20)
            first.terminate()
            run = await finished(first)
            workers = [await finished(each) for each in (second, third)]
        seen = await calls_at(one) + await calls_at(other)
    assert run.code == 0, run.output
    assert [each.code for each in workers] == [0, 0]
    result = read_results(tmp_path / "result")
    assert result.series("execute").count == run.requests("execute", "echo")
    assert len({row.worker for row in result.rows}) == result.workers == 2
    calls = run.requests("execute", "echo")
    assert 36 <= calls <= seen <= calls + 4


SILENT = """
import sys, gevent
from rpe.locust.bridge import Bridge, EngineFailed
told = []
command = (sys.executable, "-c", "import time; time.sleep(60)")
bridge = Bridge(print, told.append, command=command, start_s=0.5)
waiting = [gevent.spawn(bridge.call, {"op": "execute"}) for _ in range(3)]
for each in waiting:
    try:
        each.get(timeout=10)
    except EngineFailed as error:
        print(error.message)
print(len(told), bridge._engine.wait(timeout=5))
bridge.close()
"""


def run_script(script: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=LIMIT_S)
    return done.stdout.splitlines()


KEPT = """
from rpe import Manifest, Text
from rpe.locust.payloads import Payloads

class Bridge:
    numbers, sent = 0, []
    def number(self):
        self.numbers += 1
        return self.numbers
    def send(self, head, body=b""):
        self.sent.append(head)

bridge = Bridge()
payloads = Payloads(bridge)
often = Text("often")
first = [payloads.data(often), *(payloads.data(Text(str(n))) for n in range(4095))]
assert payloads.inputs({"a": often}) == {"a": first[0]}
payloads.trim()
print(len(bridge.sent), len(set(first)), [head["op"] for head in bridge.sent if head["op"] != "data"])
order = {"client": 1, "name": "e"}
print(payloads.order(Text("new"), order), payloads.order(often, order) == payloads.order(often, order))
print(bridge.sent[-1] == {"op": "order", "id": bridge.numbers, "data": first[0], **order})
second = payloads._kept[list(payloads._kept)[0]][0]  # which is the one to go next
number = payloads.order(second, order)
payloads._kept.move_to_end(id(second), last=False)
payloads.inputs(Text("one too many"))
payloads.trim()
drop = {"op": "drop", "id": first[1], "orders": [number]}
print(bridge.sent[-1] == drop, payloads.data(often) == first[0])
one, two = (Manifest.single("m", node_type="Echo") for _ in range(2))
print(payloads.manifest(one) == payloads.manifest(two), bridge.sent[-1]["op"])
"""


def test_what_the_engine_has_is_not_sent_again_and_what_is_not_used_is_dropped() -> None:
    assert run_script(KEPT) == ["4096 4096 []", "None True", "True", "True True", "True manifest"]


def test_an_engine_that_hangs_is_told_to_everyone_who_waits_and_killed() -> None:
    assert run_script(SILENT) == [*["the load engine has been silent for 0.5 s"] * 3, "1 -9"]


def test_the_process_that_gevent_patches_has_no_wire_in_it() -> None:
    names = ("gevent", "grpc", "aiohttp")
    script = f"import sys, rpe.locust; print(*[name for name in {names} if name in sys.modules])"
    assert run_script(script) == ["gevent"]


def test_no_test_has_imported_locust_here() -> None:
    assert "locust" not in sys.modules
    assert "gevent" not in sys.modules
