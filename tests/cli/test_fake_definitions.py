from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from typer.testing import CliRunner, Result

import rpe
from rpe.cli.fake_definitions import fakes

PROTO = """
syntax = "proto3";
package hall.v1;
service Hall { rpc Greet(Name) returns (Greeting); }
message Name { string name = 1; }
message Greeting { string text = 1; }
"""


def run(*arguments: object) -> Result:
    return CliRunner().invoke(fakes, [str(argument) for argument in arguments], prog_name="rpe fake")


@pytest.fixture
def proto(tmp_path: Path) -> Path:
    file = tmp_path / "hall.proto"
    file.write_text(PROTO, encoding="utf-8")
    return file


@contextmanager
def process(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`rpe fake` with arguments as a process, and the first line that it prints."""
    command = [
        sys.executable,
        "-c",
        "from rpe.cli.fake_definitions import fakes; fakes(prog_name='rpe fake')",
    ]
    command += [str(argument) for argument in arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            yield child, child.stdout.readline()
        finally:
            child.kill()


def test_generate_writes_then_keeps_what_was_edited(proto: Path, tmp_path: Path) -> None:
    out = tmp_path / "fakes"
    file = out / "hall.v1.Hall.yaml"
    done = run("generate", proto, "-o", out)
    assert (done.exit_code, done.stdout) == (0, f"written {file}\n")
    assert run("generate", proto, "--out", out).stdout == f"unchanged {file}\n"
    file.write_text(file.read_text(encoding="utf-8") + "# mine\n", encoding="utf-8")
    done = run("generate", proto, "-o", out)
    assert done.exit_code == 1 and "it was edited" in done.stderr
    assert file.read_text(encoding="utf-8").endswith("# mine\n")
    assert run("generate", proto, "-o", out, "--force", "--compiled", "-I", tmp_path).exit_code == 0
    assert (out / "descriptors.binpb").exists()


def test_what_cannot_be_generated_or_served_is_told(proto: Path, tmp_path: Path) -> None:
    done = run("generate", tmp_path / "gone.proto", "-o", tmp_path)
    assert done.exit_code == 2 and "there is no" in done.stderr
    file = tmp_path / "bad.yaml"
    file.write_text("service: hall.v1.Hall\ndescriptors: {protos: [hall.proto]}\nmethods: {Great: []}\n")
    done = run("serve", file, "--grpc-port", 0)
    assert done.exit_code == 2
    assert f"{file}:3: methods.Great: hall.v1.Hall has no such method; its methods: Greet" in done.stderr


def test_an_option_that_a_command_would_not_look_at_is_refused(proto: Path) -> None:
    done = run("--port", 5, "serve", proto)
    assert done.exit_code == 2 and "--port stands before serve" in done.stderr


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_serve_answers_until_it_is_told_to_end(proto: Path, tmp_path: Path, ending: signal.Signals) -> None:
    out = tmp_path / "fakes"
    assert run("generate", proto, "-o", out).exit_code == 0
    with process("serve", out, "--grpc-port", 0) as (child, line):
        found = re.fullmatch(r"rpe fake serves grpc at (127\.0\.0\.1:\d+) \(hall\.v1\.Hall\)\n", line)
        assert found is not None, line

        async def check() -> None:
            import grpc

            async with grpc.aio.insecure_channel(found[1]) as channel:
                call: Any = channel.unary_unary("/hall.v1.Hall/Greet")
                assert await call(b"") == b"\x0a\x04text"
                health = health_pb2_grpc.HealthStub(channel)
                answer = await health.Check(health_pb2.HealthCheckRequest(service="hall.v1.Hall"))
                assert answer.status == health_pb2.HealthCheckResponse.SERVING

        asyncio.run(check())
        child.send_signal(ending)
        assert child.wait(timeout=10) == 0
        assert child.stderr is not None and child.stderr.read() == ""


def test_serving_imports_no_other_wire(proto: Path, tmp_path: Path) -> None:
    check = (
        "import sys, rpe.fakes.control.definition_process, rpe.cli.fake_definitions\n"
        "print([name for name in ('aiortc', 'aiohttp', 'av', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_without_a_command_it_is_the_fake_pipeline_server_as_before(tmp_path: Path) -> None:
    with process("--port", 0, "--name", "b", "--journal", tmp_path / "journal") as (child, line):
        found = re.fullmatch(r"rpe fake b serves grpc at (127\.0\.0\.1:\d+) \(seed 0\)\n", line)
        assert found is not None, line
        with rpe.connect_sync([found[1]]) as client:
            manifest = rpe.Manifest.single("echo", node_type="Echo")
            assert client.execute(manifest, rpe.Text("hello")).output == rpe.Text("hello")
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=10) == 0
