"""Processes that are given a secret: what they print, write, and are called with."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

import rpe
from rpe.data import Text
from rpe.errors import AuthenticationFailed
from tests.support.secrets import Planted

ECHO = rpe.Manifest.single("echo", node_type="Echo")
ANSWER_S = 30


def rpe_command(*arguments: object) -> list[str]:
    return [sys.executable, "-c", "from rpe.cli import main; main()", *map(str, arguments)]


def run(planted: Planted, *arguments: object, environment: Any = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; nothing that it prints may show a secret."""
    ended = subprocess.run(
        rpe_command(*arguments),
        capture_output=True,
        text=True,
        timeout=ANSWER_S,
        env=environment,
        check=False,
    )
    planted.check("the output", ended.stdout + ended.stderr)
    return ended


@contextmanager
def serving(planted: Planted, *arguments: object, environment: Any = None) -> Iterator[str]:
    """A server as a process; gives its endpoint, and searches its command line and output."""
    with subprocess.Popen(
        rpe_command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        first = ""
        try:
            first = process.stdout.readline()
            found = re.search(r"(127\.0\.0\.1:\d+)", first)
            assert found is not None
            processes = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            planted.check("a command line", repr([each.cmdline() for each in processes]))
            yield found[1]
        finally:
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=ANSWER_S)
            planted.check("the output", first + out + err)


async def calls(
    endpoint: str, wire: str, secret: str, planted: Planted, manifest: rpe.Manifest = ECHO
) -> None:
    """One call that is let in, and one that is not."""
    async with rpe.connect([endpoint], transport=wire, token=secret) as client:
        await client.execute(manifest, Text("hello"))
    async with rpe.connect([endpoint], transport=wire, token=secret[::-1] + secret) as client:
        with pytest.raises(AuthenticationFailed) as refused:
            await client.execute(manifest, Text("hello"))
    planted.check_error(refused.value)


@pytest.mark.parametrize("wire", ["grpc", "http", "webrtc"])
async def test_a_fake_and_its_journal(wire: str, planted: Planted, tmp_path: Path) -> None:
    secret = planted["signs"]
    script = tmp_path / "script.yaml"
    script.write_text(f"token: '{secret}'\nother_token: '{planted['padded']}'\n")
    out = tmp_path / "out"
    out.mkdir()
    arguments = (
        "fake",
        "--transport",
        wire,
        "--port",
        0,
        "--behaviour",
        script,
        "--journal",
        out / "a.jsonl",
    )
    with serving(planted, *arguments, "--debug") as endpoint:
        await calls(endpoint, wire, secret, planted)
    assert planted.check_folder(out) == 1
    assert '"token"' in (out / "a.jsonl").read_text()  # the refusal was written down


@pytest.mark.parametrize("wire", ["grpc", "http", "webrtc"])
async def test_a_server_of_pipelines(wire: str, planted: Planted, tmp_path: Path) -> None:
    secret = planted["mixed"]
    file = tmp_path / "tokens"
    file.write_text(f"{secret}\n{planted['long']}\n")
    upper = rpe.Manifest.single("up", node_type="UpperCase")
    arguments = ("serve", "--transport", wire, "--port", 0, "--token-file", file, "--debug")
    with serving(planted, *arguments) as endpoint:
        await calls(endpoint, wire, secret, planted, upper)


SCRIPTS = {
    "not YAML": "token: [{secret}",
    "not YAML either": "token: '{secret}\nother: {{",
    "a wrong key": "tokens: '{secret}'",
    "a wrong value": "token: '{secret}'\nhang: {{rate: 7}}",
    "a list": "token: ['{secret}']",
    "no mapping": "- '{secret}'",
    "an alias": "token: *{secret}",
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=list(SCRIPTS))
def test_a_wrong_script(script: str, planted: Planted, tmp_path: Path) -> None:
    file = tmp_path / "script.yaml"
    file.write_text(script.format(secret=planted["word"]))
    ended = run(planted, "fake", "--port", 0, "--behaviour", file, "--debug")
    assert ended.returncode == 2


def test_a_wrong_scenario(planted: Planted, tmp_path: Path) -> None:
    for number, script in enumerate(SCRIPTS.values()):
        folder = tmp_path / str(number) / "auth"
        folder.mkdir(parents=True)
        inner = script.format(secret=planted["mixed"]).replace("\n", "\n    ")
        (folder / "a.yaml").write_text(f"name: a\nservers:\n  a:\n    {inner}\nclient: {{token: [7]}}\n")
        ended = run(planted, "run", folder, "--out", tmp_path / "runs", "--debug")
        assert ended.returncode == 2


def test_a_wrong_token_for_a_server(planted: Planted, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text(f"-----BEGIN PRIVATE KEY-----\n{planted['long']}\n-----END PRIVATE KEY-----\n")
    for wire in ("grpc", "http"):
        arguments = ("serve", "--transport", wire, "--port", 0, "--cert", key, "--key", key, "--debug")
        assert run(planted, *arguments).returncode != 0
    file = tmp_path / "tokens"
    file.write_bytes(planted["word"].encode() + b"\xff")
    assert run(planted, "serve", "--port", 0, "--token-file", file, "--debug").returncode == 2


SCENARIO = """\
name: planted
proves: Credentials are nowhere in what a run leaves behind.
servers:
  a: {{token: "{token}"}}
  b: {{token: "{token}", other_token: "{other}"}}
client: {{token: "{token}", timeout_s: 1.5, retry: {{max_retries: 1, initial_backoff_s: 0.01}}}}
workload: {{name: calls, kind: unary, rate_per_s: 20, input: text}}
duration_s: 1.0
faults:
  - {{name: rotated, at_s: 0.2, for_s: 0.4, behaviour: {{on: [a, b], behaviour: {{token: "{later}"}}}}}}
expect:
  - {{measure: errors, code: authentication_failed, during: rotated, at_least: 1}}
  - {{measure: success_ratio, during: run, equals: {wanted}}}
"""

POOLS = """\
name: planted-pools
proves: Credentials of pools are nowhere in what a run leaves behind.
servers: {{p1: {{token: "{token}"}}, s1: {{token: "{other}"}}}}
pools:
  primary: {{servers: [p1], transport: grpc}}
  secondary: {{servers: [s1], transport: http}}
manifest:
  version: v1
  nodes:
    - id: louder
      node_type: RemotePipelineNode
      params:
        pool: primary
        manifest:
          version: v1
          nodes: [{{id: gain, node_type: Gain, params: {{gain: 0.5, auth_token: "{later}"}}}}]
        timeout_ms: 1500
        extra_config: {{}}
        fallback:
          - {{name: secondary, pool: secondary, timeout_ms: 800}}
client: {{timeout_s: 2}}
workload: {{name: calls, kind: unary, input: recordings, rate_per_s: 8}}
duration_s: 1.0
faults:
  - {{name: primary-gone, at_s: 0.2, for_s: 0.4, down: {{on: [p1]}}}}
expect:
  - {{measure: success_ratio, during: run, at_least: {wanted}}}
"""


@pytest.mark.parametrize("wanted", [0, 1])
@pytest.mark.parametrize("scenario", [SCENARIO, POOLS], ids=["tokens", "pools"])
def test_what_a_run_leaves_behind(scenario: str, wanted: int, planted: Planted, tmp_path: Path) -> None:
    file = tmp_path / "scenarios" / "auth" / "planted.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(
        scenario.format(
            token=planted["signs"], other=planted["padded"], later=planted["mixed"], wanted=wanted
        )
    )
    out = tmp_path / "out"
    arguments = ("run", file, "--out", out, "--junit", out / "j.xml", "--markdown", out / "m.md", "--seed", 1)
    with subprocess.Popen(
        rpe_command(*arguments, "--debug"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        seen: set[str] = set()
        while process.poll() is None:
            seen |= commands_below(process.pid)
            try:
                process.wait(timeout=0.05)
            except subprocess.TimeoutExpired:
                continue
        assert process.stdout is not None
        written = process.stdout.read()
    planted.check("the output", written)
    planted.check("a command line", "\n".join(seen))
    assert any("rpe.chaos.worker" in line for line in seen), written
    assert process.returncode in (0, 1), written
    assert planted.check_folder(out) >= 6, written


def commands_below(pid: int) -> set[str]:
    found: set[str] = set()
    read: Callable[[psutil.Process], list[str]] = psutil.Process.cmdline
    try:
        for process in psutil.Process(pid).children(recursive=True):
            found.add(" ".join(read(process)))
    except psutil.Error:
        pass  # it ended meanwhile
    return found
