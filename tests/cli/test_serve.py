from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import rpe
from rpe.errors import AuthenticationFailed
from tests.support.certificates import make_pair

Rpe = Callable[..., Any]
UPPER = rpe.Manifest.single("up", node_type="UpperCase")


@contextmanager
def serving(
    *options: object, ended_by: signal.Signals = signal.SIGTERM, environment: Any = None
) -> Iterator[str]:
    """`rpe serve` as a process; gives its endpoint, and sees it end well."""
    command = [
        sys.executable,
        "-c",
        "from rpe.cli import main; main()",
        "serve",
        "--port",
        "0",
        *map(str, options),
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        try:
            line = process.stdout.readline()
            found = re.search(r"serves \d+ node types by \w+ at (127\.0\.0\.1:\d+)", line)
            assert found is not None, line + process.stderr.read()
            yield found[1]
        finally:
            process.send_signal(ended_by)
        assert process.wait(timeout=10) == 0
        assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("wire", "ended_by"), [("grpc", signal.SIGTERM), ("http", signal.SIGINT), ("webrtc", signal.SIGTERM)]
)
def test_it_serves_until_a_signal_comes(wire: str, ended_by: signal.Signals) -> None:
    with (
        serving("--transport", wire, ended_by=ended_by) as endpoint,
        rpe.connect_sync([endpoint], transport=wire) as client,
    ):
        assert client.execute(UPPER, rpe.Text("hello")).output == rpe.Text("HELLO")


def test_a_token_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("old-token\n", encoding="utf-8")
    with serving("--token-file", tokens) as endpoint:
        for good, content in (("old-token", "old-token\nnew-token\n"), ("new-token", "only this\n")):
            with rpe.connect_sync([endpoint], token=good) as client:
                assert client.execute(UPPER, rpe.Text("a")).output == rpe.Text("A")
                tokens.write_text(content, encoding="utf-8")
        with rpe.connect_sync([endpoint], token="new-token") as client, pytest.raises(AuthenticationFailed):
            client.execute(UPPER, rpe.Text("a"))


def test_certificates_and_a_token_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, callers = make_pair("server", tmp_path), make_pair("caller", tmp_path)
    monkeypatch.setenv("THE_TOKEN", "s3cret")
    files = ["--cert", tmp_path / "server.pem", "--key", tmp_path / "server.key"]
    with serving(*files, "--client-ca", tmp_path / "caller.pem", "--token-env", "THE_TOKEN") as endpoint:
        tls = rpe.transport.ports.TlsSettings(own.certificate, callers.certificate, callers.key)
        with rpe.connect_sync([endpoint], tls=tls, token="s3cret") as client:
            assert client.execute(UPPER, rpe.Text("a")).output == rpe.Text("A")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--token-env", "NOT_SET_ANYWHERE"], "NOT_SET_ANYWHERE is not set"),
        (["--variable", "NOT_SET_ANYWHERE"], "NOT_SET_ANYWHERE is not set"),
        (["--token-file", "no/such/file"], "No such file"),
        (["--token-file", "a", "--token-env", "B"], "give one of them"),
        (["--cert", "a.pem"], "--cert and --key go together"),
        (["--client-ca", "a.pem"], "--client-ca needs --cert and --key"),
        (["--cert", "no/such.pem", "--key", "no/such.key"], "No such file"),
        (["--transport", "carrier-pigeon"], "carrier-pigeon"),
    ],
)
def test_what_cannot_be_served_is_told(rpe: Rpe, options: list[str], told: str) -> None:
    ended = rpe("serve", "--port", 0, *options)
    assert ended.exit_code == 2
    assert told in ended.err and "Traceback" not in ended.err
