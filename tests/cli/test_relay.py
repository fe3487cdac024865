from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Rpe = Callable[..., Any]


def test_a_port_that_is_taken_is_told(rpe: Rpe) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = rpe("relay", "--port", taken.getsockname()[1])
    assert ended.exit_code == 2
    assert "cannot start" in ended.err and "Traceback" not in ended.err


def test_a_recording_that_cannot_be_read_is_told(rpe: Rpe, tmp_path: Path) -> None:
    ended = rpe("relay", "--port", 0, "--replay", tmp_path / "none.jsonl")
    assert ended.exit_code == 2
    assert "none.jsonl" in ended.err and "Traceback" not in ended.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_interrupted(number: signal.Signals, tmp_path: Path) -> None:
    options = ["--port", "0", "--seed", "5", "--draws", str(tmp_path / "draws.jsonl")]
    command = [sys.executable, "-c", "from rpe.cli import main; main()", "relay", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            found = re.search(r"http://\S+", line)
            assert found is not None, line
            body = json.dumps({"name": "a", "upstream": "127.0.0.1:1"}).encode()
            request = urllib.request.Request(f"{found[0]}/relays", body, {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=5) as answer:
                assert json.load(answer)["listen"].startswith("127.0.0.1:")
            with urllib.request.urlopen(f"{found[0]}/version", timeout=5) as answer:
                assert json.load(answer)["seed"] == 5
        finally:
            process.send_signal(number)
        assert process.wait(timeout=10) == 0
        assert process.stderr is not None and process.stderr.read() == ""
    assert (tmp_path / "draws.jsonl").exists()
