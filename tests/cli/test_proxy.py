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
        ended = rpe("proxy", "--port", taken.getsockname()[1])
    assert ended.exit_code == 2
    assert "cannot start" in ended.err and "Traceback" not in ended.err


@pytest.mark.parametrize("content", [None, "{", '{"not": "a list"}'])
def test_a_configuration_that_cannot_be_used_is_told(rpe: Rpe, tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "proxies.json"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    ended = rpe("proxy", "--port", 0, "--config", file)
    assert ended.exit_code == 2
    assert "proxies.json" in ended.err and "Traceback" not in ended.err


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_it_serves_until_it_is_interrupted(tmp_path: Path, loop: str) -> None:
    config = tmp_path / "proxies.json"
    config.write_text('[{"name": "p", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:1"}]', encoding="utf-8")
    options = ["--port", "0", "--seed", "5", "--config", str(config), "--metrics", "--loop", loop]
    command = [sys.executable, "-c", "from rpe.cli import main; main()", "proxy", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            found = re.search(r"http://\S+", line)
            assert found is not None, line
            with urllib.request.urlopen(f"{found[0]}/proxies", timeout=5) as answer:
                assert "p" in json.load(answer)
            with urllib.request.urlopen(f"{found[0]}/metrics", timeout=5) as answer:
                assert answer.status == 200
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 0
        assert process.stderr is not None and process.stderr.read() == ""
