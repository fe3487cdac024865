"""`rpe fake serve` and the control port of `rpe fake`, as processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

import rpe
from rpe.fakes.certificates import Authority

Rpe = Callable[..., Any]

PROTO = """
syntax = "proto3";
package hall.v1;
service Hall { rpc Greet(Name) returns (Greeting); }
message Name { string name = 1; }
message Greeting { string text = 1; }
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    from rpe.fakes.definition.descriptors import compile_protos

    folder = tmp_path_factory.mktemp("hall")
    (folder / "hall.proto").write_text(PROTO, encoding="utf-8")
    return compile_protos([folder / "hall.proto"]).SerializeToString()


@pytest.fixture
def hall(tmp_path: Path, compiled: bytes) -> Path:
    (tmp_path / "hall.binpb").write_bytes(compiled)
    file = tmp_path / "hall.yaml"
    say(file, "hello")
    return file


def say(file: Path, text: str, kind: str = "text") -> None:
    file.write_text(
        "service: hall.v1.Hall\ndescriptors: {set: hall.binpb}\n"
        f"methods: {{Greet: [{{answer: {{message: {{{kind}: {text}}}}}}}]}}\n",
        encoding="utf-8",
    )


class Process:
    """A running `rpe fake`, and where it said that it serves."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self.child = child
        self.lines: list[str] = []

    def endpoint(self) -> str:
        assert self.child.stdout is not None
        self.lines.append(self.child.stdout.readline())
        found = re.search(r" at (\S+)", self.lines[-1])
        assert found is not None, self.lines
        return found[1]

    def told(self) -> str:
        assert self.child.stderr is not None
        return self.child.stderr.readline()

    def end(self) -> str:
        self.child.send_signal(signal.SIGTERM)
        assert self.child.wait(timeout=10) == 0
        assert self.child.stderr is not None
        return self.child.stderr.read()


@contextmanager
def process(*arguments: object, **environment: str) -> Iterator[Process]:
    command = [sys.executable, "-c", "from rpe.cli import main; main()", "fake", *map(str, arguments)]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env={**os.environ, **environment}, **pipes) as child:
        watchdog = threading.Timer(20, child.kill)  # what waits for a line sees the end of it then
        watchdog.start()
        try:
            yield Process(child)
        finally:
            watchdog.cancel()
            child.kill()


def api(endpoint: str, path: str, form: Any = None, token: str = "", method: str | None = None) -> Any:
    body = None if form is None else json.dumps(form).encode()
    request = urllib.request.Request(
        endpoint + path, body, {"Authorization": f"Bearer {token}"}, method=method
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        text = response.read()
    return json.loads(text) if text else None


def greet(channel: grpc.Channel) -> str:
    call: Any = channel.unary_unary("/hall.v1.Hall/Greet")
    answer: bytes = call(b"", timeout=5)
    return answer[2:].decode()


def test_definitions_on_two_wires_with_control_and_tls_follow_their_file(hall: Path, tmp_path: Path) -> None:
    authority = Authority()
    issued = authority.issue("fake")
    chain, key, journal = tmp_path / "chain.pem", tmp_path / "key.pem", tmp_path / "journal"
    chain.write_bytes(issued.chain)
    key.write_bytes(issued.key)
    options = ["--grpc-port", 0, "--http-port", 0, "--control-port", 0, "--control-token-env", "TOKEN"]
    options += ["--tls-cert", chain, "--tls-key", key, "--journal", journal, "--channelz", "--seed", 3]
    with process("serve", hall, *options, TOKEN="sesame") as fake:
        wires = [fake.endpoint() for _ in range(3)]
        assert [line.split(" at ")[0] for line in fake.lines] == [
            f"rpe fake serves {wire}" for wire in ("grpc", "http", "control")
        ]
        control = wires[2]
        about = api(control, "/", token="sesame")
        assert about["endpoints"] == {"grpc": wires[0], "http": wires[1]}
        with grpc.secure_channel(wires[0], grpc.ssl_channel_credentials(authority.certificate)) as channel:
            assert greet(channel) == "hello"
            say(hall, "good morning")
            assert fake.told() == f"rpe fake: {hall} was read anew (hall.v1.Hall)\n"
            assert greet(channel) == "good morning"
            [rules] = api(control, "/rules", token="sesame")
            assert rules["methods"]["Greet"][0]["answer"]["message"] == {"text": "good morning"}
            say(hall, "bye", kind="texts")
            assert "stays as it is" in fake.told()
            assert "hall.yaml:3: methods.Greet[0]" in fake.told()
            assert greet(channel) == "good morning"
            fault = {"method": "Greet", "answer": {"message": {"text": "fault"}}, "calls": 1}
            api(control, "/faults", fault, token="sesame")
            assert [greet(channel), greet(channel)] == ["fault", "good morning"]
        fake.end()
    lines = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]
    assert [line["answers"][0]["text"] for line in lines] == [
        *("hello", "good morning", "good morning"),
        *("fault", "good morning"),
    ]


def test_a_pipeline_follows_its_file_on_sighup_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    text = "pipeline: mine\nabout: a test\nnodes: {Say: {text: hello}}\n"
    file.write_text(text, encoding="utf-8")
    options = ["--grpc-port", 0, "--http-port", 0, "--no-watch", "--control-port", 0]
    with process("serve", file, *options) as fake:
        ports = [fake.endpoint() for _ in range(3)]
        assert fake.lines[0] == f"rpe fake serves grpc at {ports[0]} (pipeline mine, seed 0)\n"
        manifest = rpe.Manifest.single("say", node_type="Say")
        with rpe.connect_sync([ports[0]]) as client:
            assert client.execute(manifest, rpe.Text("x")).output == rpe.Text("hello")
            file.write_text(text.replace("hello", "bye"), encoding="utf-8")
            fake.child.send_signal(signal.SIGHUP)
            assert "was read anew (pipeline mine)" in fake.told()
            assert client.execute(manifest, rpe.Text("x")).output == rpe.Text("bye")
        assert api(ports[2], "/verify", {"method": "execute", "exactly": 2})["passed"]
        assert fake.end() == ""


def test_the_scripted_fake_has_a_control_port_too() -> None:
    with process("--port", 0, "--control-port", 0, "--allow-scripts") as fake:
        endpoint, control = fake.endpoint(), fake.endpoint()
        assert fake.lines[0] == f"rpe fake a serves grpc at {endpoint} (seed 0)\n"
        assert api(control, "/rules", {"error": {"first": 1}}, method="PATCH") == {"error": {"first": 1}}
        assert api(control, "/")["endpoints"] == {"grpc": endpoint}
        assert fake.end() == ""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["serve", "ecko"], "there is no ecko"),
        (["serve", "echo", "--tls-cert", "x"], "--tls-key go together"),
        (["serve", "echo", "--tls-client-ca", "x"], "--tls-client-ca needs"),
        (["serve", "echo", "--channelz"], "--channelz: not for a pipeline"),
        (["serve", "HALL", "--webrtc-port", "0"], "--webrtc-port: not for definitions"),
        (["serve", "HALL", "--allow-scripts"], "--allow-scripts: not for definitions"),
        (["serve", "HALL", "--control-token-env", "X"], "goes with --control-port"),
        (["serve", "HALL", "--control-port", "0", "--control-token-env", "NOT_THERE"], "is not set"),
        (["--control-token-env", "X"], "goes with --control-port"),
        (["--control-port", "0", "serve", "echo"], "--control-port stands before serve"),
    ],
)
def test_wrong_use_is_told(rpe: Rpe, hall: Path, arguments: list[str], told: str) -> None:
    ended = rpe("fake", *(str(hall) if word == "HALL" else word for word in arguments))
    assert ended.exit_code == 2
    assert told in ended.err and "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("what", "absent"),
    [
        ("HALL", ["aiohttp", "aiortc", "av", "numpy", "prometheus_client", "grpc_channelz"]),
        ("echo", ["aiohttp", "aiortc", "av", "prometheus_client"]),
    ],
)
def test_what_is_not_asked_for_is_not_imported(hall: Path, what: str, absent: list[str]) -> None:
    served = str(hall) if what == "HALL" else what
    code = (
        "import os, signal, sys\n"
        "from rpe.fakes.control import hosting\n"
        "said = hosting.say\n"
        "def say(*arguments):\n"
        "    said(*arguments)\n"
        f"    print([name for name in {absent!r} if name in sys.modules], flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "hosting.say = say\n"
        "from rpe.cli import main\n"
        f"sys.argv = ['rpe', 'fake', 'serve', {served!r}, '--grpc-port', '0']\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.splitlines()[1:] == ["[]"], done.stdout
