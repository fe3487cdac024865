"""`rpe conform`: the exit codes, the files, and what is told of wrong use."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from rpe.cli.conform import conform
from rpe.fakes.mouth import RawGrpcServer
from rpe.fakes.server import FakeServer

app = typer.Typer()
app.command()(conform)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@contextmanager
def serving(server: AbstractAsyncContextManager[Any]) -> Iterator[str]:
    """Serve on a loop of its own: the command has one too."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        made = asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(5)
        yield made.endpoint
        asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result(5)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_a_good_server_ends_with_0_and_its_reports_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_TOKEN", "s3cret")
    junit, page = tmp_path / "new" / "report.xml", tmp_path / "report.md"
    with serving(FakeServer(transport="http", behaviour={"token": "s3cret"})) as endpoint:
        done = run(
            endpoint, "--transport", "http", "--token-env", "THE_TOKEN", "--junit", junit, "--markdown", page
        )
    assert done.exit_code == 0, done.output
    assert "fidelity passed" in done.output and "s3cret" not in done.output
    assert 'failures="0"' in junit.read_text() and "fidelity passed" in page.read_text()


def test_a_broken_server_ends_with_1_and_says_what_was_seen() -> None:
    with serving(RawGrpcServer({"calls": [{"kind": "no_trailers", "after_messages": None}]})) as endpoint:
        done = run(endpoint, "--only", "trailers-on-success", "--node", "Echo", "--limit", 0.5)
    assert done.exit_code == 1
    assert "END_STREAM came on a DATA frame" in done.output


def test_nothing_that_applied_ends_with_3() -> None:
    with serving(RawGrpcServer()) as endpoint:
        done = run(endpoint, "--only", "token")
    assert done.exit_code == 3
    assert "not applicable: no token was given" in done.output


def test_the_list_needs_no_server() -> None:
    done = run("--list", "--transport", "webrtc")
    assert done.exit_code == 0
    assert "connect\n    Signalling leads to a peer connection" in done.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "no server to check"),
        (["127.0.0.1:1"], "nothing can be checked"),
        (["127.0.0.1:1", "--token-env", "NOT_SET_ANYWHERE"], "NOT_SET_ANYWHERE is not set"),
        (["127.0.0.1:1", "--only", "no-such"], "no check for grpc is named no-such"),
        (["--list", "--transport", "pigeon"], "no fidelity checks for the transport"),
        (["127.0.0.1:1", "--junit", "/"], "is a folder"),
    ],
)
def test_wrong_use_ends_with_2(arguments: list[str], told: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert told in done.output and "Traceback" not in done.output
