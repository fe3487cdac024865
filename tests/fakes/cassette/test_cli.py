"""`rpe fake record` and `rpe fake replay` as processes."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from rpe.cli.fake_record import record, replay
from rpe.fakes.cassette import read_cassette
from rpe.fakes.mouth import RawCall, RawGrpcServer
from tests.fakes.cassette.calling import ask, channel_to

APP = "import typer; from rpe.cli.fake_record import record, replay; app = typer.Typer(); "
APP += "app.command()(record); app.command()(replay); app()"


@contextmanager
def process(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A command as a process, and the address in the first line that it prints."""
    command = [sys.executable, "-c", APP, *(str(argument) for argument in arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            line = child.stdout.readline()
            found = re.search(r" at (127\.0\.0\.1:\d+)", line)
            assert found is not None, line
            yield child, found[1]
        finally:
            child.kill()


async def test_what_is_recorded_is_replayed(cassette: Path) -> None:
    async def answer(call: RawCall) -> bytes | None:
        return await call.read()

    async with RawGrpcServer(None, answer) as server:
        arguments = ("record", "--upstream", f"grpc://{server.endpoint}", "-o", cassette, "--scrub", "mine")
        with process(*arguments) as (child, endpoint):
            async with channel_to(endpoint) as channel:
                live = await ask(channel, "/a.B/C", [b"1"], metadata=(("mine", "planted"),))
            child.send_signal(signal.SIGTERM)
            assert child.wait(10) == 0
            assert child.stdout is not None and child.stdout.read() == f"calls recorded in {cassette}: 1\n"
    assert read_cassette(cassette).calls[0].metadata == (("mine", "scrubbed"),)
    with process("replay", cassette, "--speed", 0, "--fault", "status,call=2") as (child, endpoint):
        async with channel_to(endpoint) as channel:
            assert await ask(channel, "/a.B/C", [b"1"]) == live
            assert (await ask(channel, "/a.B/C", [b"1"])).code == "UNAVAILABLE"
        child.send_signal(signal.SIGINT)
        assert child.wait(10) == 0
        assert child.stdout is not None and child.stdout.read().splitlines() == [
            "1 /a.B/C: recording 1 by content; OK",
            "2 /a.B/C: recording 1 by content; UNAVAILABLE; status at the headers",
        ]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["record", "--upstream", "ftp://a:1", "-o", "x"], "the upstream is not a URL that can be recorded"),
        (["record", "--upstream", "grpc://a", "-o", "x"], "has no port"),
        (["record", "--upstream", "http://me:planted@a", "-o", "x"], "holds a user"),
        (["record", "--upstream", "http://a/path", "-o", "x"], "has a path"),
        (["record", "--upstream", "http://a", "-o", "x", "--ca", "y"], "has no certificate to check"),
        (["record", "--upstream", "https://a", "-o", "x", "--ca", "/gone"], "cannot be read"),
        (["record", "--upstream", "grpc://a:1", "-o", "/gone/x"], "cannot be written"),
        (["replay", "/gone"], "/gone cannot be read"),
        (["replay", "CASSETTE", "--fault", "joke"], "'joke' is no kind"),
    ],
)
def test_what_is_wrong_is_told(cassette: Path, arguments: list[str], told: str) -> None:
    cassette.write_text('{"cassette": 1, "wire": "grpc", "upstream": "grpc://a:1"}\n')
    app = typer.Typer()
    app.command()(record)
    app.command()(replay)
    words = [str(cassette) if word == "CASSETTE" else word for word in arguments]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert told in done.stderr and "planted" not in done.stderr


def test_help_comes_without_any_wire() -> None:
    check = "import sys, rpe.cli.fake_record\n"
    check += "print([name for name in ('grpc', 'aiohttp', 'h2', 'pydantic') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
