from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rpe
from rpe.errors import RemoteUnavailable

Rpe = Callable[..., Any]


def test_a_port_that_is_taken_is_told(rpe: Rpe) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = rpe("fake", "--port", taken.getsockname()[1])
    assert ended.exit_code == 2
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read"),
        ("a: [", "not YAML"),
        ("- hang", "mapping"),
        ("hangg: {}", "hangg is unknown"),
    ],
)
def test_a_script_that_cannot_be_used_is_told(
    rpe: Rpe, tmp_path: Path, content: str | None, told: str
) -> None:
    script = tmp_path / "script.yaml"
    if content is not None:
        script.write_text(content, encoding="utf-8")
    ended = rpe("fake", "--port", 0, "--behaviour", script)
    assert ended.exit_code == 2
    assert told in ended.err and "Traceback" not in ended.err


def test_it_serves_its_script_until_it_is_interrupted_and_leaves_its_journal(tmp_path: Path) -> None:
    script, journal = tmp_path / "script.yaml", tmp_path / "journal.jsonl"
    script.write_text("error: {status: unavailable, first: 1}", encoding="utf-8")
    options = ["--port", "0", "--name", "b", "--behaviour", str(script), "--journal", str(journal)]
    command = [sys.executable, "-c", "from rpe.cli import main; main()", "fake", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        line = process.stdout.readline()
        try:
            found = re.search(r"at (127\.0\.0\.1:\d+)", line)
            assert found is not None, line
            with rpe.connect_sync([found[1]]) as client:
                manifest = rpe.Manifest.single("echo", node_type="Echo")
                with pytest.raises(RemoteUnavailable):
                    client.execute(manifest, rpe.Text("hello"), repeatable=False)
                assert client.execute(manifest, rpe.Text("hello")).output == rpe.Text("hello")
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 0
        assert process.stderr.read() == ""
    entries = [json.loads(text) for text in journal.read_text(encoding="utf-8").splitlines()]
    assert {entry["server"] for entry in entries} == {"b"}
    assert [entry["fault"] for entry in entries if entry.get("fault")] == ["error"]
