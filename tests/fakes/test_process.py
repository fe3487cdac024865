"""A fake in a process of its own, with real signals. Each start takes some tenths of a second."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import grpc
import psutil
import pytest

from rpe import Manifest, Text, connect
from rpe.errors import ConfigurationError, RpeError
from rpe.fakes import FakeHandle, FakeProcess, Kind
from rpe.fakes.caller_script import caller_script
from rpe.fakes.child import Child
from tests.support.children import running
from tests.support.raw_grpc import Raw, execute_request, raw, text


def children() -> list[psutil.Process]:
    return running("rpe.fakes.main")


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def listens(endpoint: str) -> bool:
    host, _, port = endpoint.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


async def code_of(client: Raw, timeout_s: float = 0.2) -> str:
    call = client.execute(execute_request(text("x")), timeout=timeout_s)
    return str((await call.code()).name)


async def test_a_life_with_another_script_and_a_readable_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    handle: FakeHandle = FakeProcess("p")
    assert handle.endpoint == ""
    before_s = time.monotonic()
    async with FakeProcess("p") as fake, raw(fake.endpoint) as client:
        assert fake.pid is not None and psutil.pid_exists(fake.pid)
        assert await client.echo("hello") == "hello"
        await fake.set_behaviour({"error": {"status": "internal"}, "token": None})
        assert await code_of(client) == "INTERNAL"
        entries = await fake.journal_entries()
    assert [entry.kind for entry in entries] == [
        Kind.RECEIVED,
        Kind.SENT,
        Kind.SCRIPT,
        Kind.RECEIVED,
        Kind.FAULT,
        Kind.FAILED,
    ]
    assert {entry.server for entry in entries} == {"p"}
    assert all(before_s <= entry.at_s <= time.monotonic() for entry in entries)  # one clock for all
    assert await fake.journal_entries() == entries
    assert files_in(tmp_path) == []
    assert fake.pid is None
    assert children() == []
    await fake.stop()  # harmless
    with pytest.raises(ConfigurationError, match="does not run"):
        await fake.kill()


async def test_a_kill_breaks_calls_and_leaves_the_journal_and_a_start_brings_all_back() -> None:
    async with FakeProcess(behaviour={"hang": {}}) as fake, raw(fake.endpoint) as client:
        endpoint, first = fake.endpoint, fake.pid
        call = client.execute(execute_request(text("x")), timeout=10)
        for _ in range(500):
            if any(entry.fault == "hang" for entry in await fake.journal_entries()):
                break
            await asyncio.sleep(0.01)
        await fake.kill()
        assert await call.code() is grpc.StatusCode.UNAVAILABLE
        assert not listens(endpoint)
        await fake.set_behaviour({})  # for the next one
        await fake.start()
        assert (fake.endpoint, fake.pid == first) == (endpoint, False)
        assert await client.echo(wait_for_ready=True) == "hi"
        kinds = [entry.kind for entry in await fake.journal_entries()]
    assert kinds == [Kind.RECEIVED, Kind.FAULT, Kind.RECEIVED, Kind.SENT]


async def test_a_pause_is_silence_and_ends_with_resume() -> None:
    async with FakeProcess() as fake, raw(fake.endpoint) as client:
        assert await code_of(client) == "OK"
        fake.pause()
        assert await code_of(client, 0.1) == "DEADLINE_EXCEEDED"
        assert listens(fake.endpoint)
        await fake.set_behaviour({"error": {"status": "aborted"}})  # taken when it goes on
        fake.resume()
        codes = [await code_of(client) for _ in range(50)]
        assert codes[-1] == "ABORTED"
        await fake.set_behaviour({})
        assert await code_of(client) == "OK"
        fake.pause()  # and can be stopped like this
    assert children() == []


async def test_each_command_hears_its_own_answer_also_after_a_pause() -> None:
    child = await Child.spawn("c", "grpc")
    try:
        await child.serve({"name": "c"})
        child.pause()
        await child.command(do="set_behaviour", behaviour={"latncy": {}})  # nobody answers yet
        child.resume()
        await child.command(do="set_behaviour", behaviour={})
        with pytest.raises(ConfigurationError, match="helth is unknown"):
            await child.command(do="set_behaviour", behaviour={"helth": {}})
    finally:
        await child.stop(0.0)
    assert children() == []


async def test_a_prepared_restart_keeps_its_time_and_its_port() -> None:
    async with FakeProcess() as fake, raw(fake.endpoint) as client:
        endpoint = fake.endpoint
        await fake.prepare()
        began_s = time.monotonic()
        restart = asyncio.create_task(fake.restart(graceful=False, down_s=0.15))
        await asyncio.sleep(0.1)
        assert not listens(endpoint)
        await restart
        assert 0.15 <= time.monotonic() - began_s < 1.0
        assert fake.endpoint == endpoint
        assert await client.echo(wait_for_ready=True) == "hi"
    assert children() == []


async def test_a_graceful_restart_lets_calls_end() -> None:
    script = {"latency": {"fixed_s": 0.1}}
    async with FakeProcess(behaviour=script) as fake, raw(fake.endpoint) as client:
        await fake.prepare()
        call = client.execute(execute_request(text("x")), timeout=10)
        await asyncio.sleep(0.05)
        await fake.restart()
        assert await call.code() is grpc.StatusCode.OK
        kinds = [entry.kind for entry in await fake.journal_entries()]
    assert kinds == [Kind.RECEIVED, Kind.FAULT, Kind.SENT]


async def test_a_cancelled_restart_leaves_no_process() -> None:
    async with FakeProcess() as fake:
        await fake.prepare()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(fake.restart(graceful=False, down_s=30), 0.05)
        assert children() == []
        await fake.start()
        assert fake.pid is not None
    assert children() == []


async def test_what_does_not_come_up_says_why_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigurationError, match="in use"):
            await FakeProcess(port=taken.getsockname()[1]).start()
    with pytest.raises(ConfigurationError, match="No module named 'nonsense'"):
        await FakeProcess(modules=["nonsense"]).start()
    assert children() == []
    assert files_in(tmp_path) == []


async def test_node_types_come_from_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = (
        "from rpe.fakes import node\nfrom rpe.data import Text\nnode('Yes')(lambda data, call: Text('yes'))\n"
    )
    (tmp_path / "my_nodes.py").write_text(module)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    async with FakeProcess(modules=["my_nodes"]) as fake, raw(fake.endpoint) as client:
        response = await client.execute(execute_request(text("no"), "Yes"))
    assert response.result.data_outputs["output"].text.text_data == b"yes"


PARENT = """
import asyncio, os, sys
from rpe.fakes import FakeProcess
async def main():
    fake = FakeProcess()
    await fake.start()
    if sys.argv[1] == "paused":
        fake.pause()
    print(fake.pid, flush=True)
    os.kill(os.getpid(), 9)
asyncio.run(main())
"""


@pytest.mark.parametrize("state", ["running", "paused"])
def test_a_dead_parent_leaves_nothing_behind(state: str) -> None:
    command = [sys.executable, "-c", PARENT, state]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert parent.wait(10) == -signal.SIGKILL
    try:
        _wait_until_gone(pid)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _wait_until_gone(pid: int) -> None:
    deadline_s = time.monotonic() + 5
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline_s, f"{pid} is still there"
        time.sleep(0.01)


@pytest.mark.parametrize("end", ["close", "terminate", "interrupt"])
def test_the_process_by_itself(end: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rpe.fakes.main"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None

        def ask(words: object) -> dict[str, object]:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(json.dumps(words) + "\n")
            process.stdin.flush()
            answer: dict[str, object] = json.loads(process.stdout.readline())
            return answer

        assert json.loads(process.stdout.readline()) == {"warm": True}
        ready = ask({"name": "x", "journal_path": str(tmp_path / "j")})
        assert listens(str(ready["ready"]))
        assert ask({"do": "set_behaviour", "behaviour": {"health": "hang"}}) == {"done": True}
        assert "latncy is unknown" in str(ask({"do": "set_behaviour", "behaviour": {"latncy": 1}})["error"])
        if end == "interrupt":
            os.kill(process.pid, signal.SIGINT)
            assert ask({"do": "set_behaviour", "behaviour": {}}) == {"done": True}  # not its to decide
        if end == "terminate":
            os.kill(process.pid, signal.SIGTERM)
        else:
            process.stdin.close()
        assert process.wait(5) == 0
        assert "Traceback" not in process.stderr.read()
    assert not listens(str(ready["ready"]))


def test_it_takes_its_orders_from_a_pipe_only() -> None:
    command = [sys.executable, "-m", "rpe.fakes.main"]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "takes its orders from a pipe" in ended.stderr


async def test_it_follows_the_script_that_a_caller_brings_where_it_may() -> None:
    script = caller_script({"application_error": {"message": "only mine"}})
    echo = Manifest.single("n", node_type="Echo")

    async with FakeProcess(allow_scripts=True) as fake, connect([fake.endpoint]) as client:
        with pytest.raises(RpeError, match="only mine"):
            await client.execute(echo, Text("x"), metadata=script)
        assert (await client.execute(echo, Text("x"))).output == Text("x")
