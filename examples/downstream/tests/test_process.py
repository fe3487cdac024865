"""The fake glossary as a process, as a test in another language would use it: a command and an HTTP API."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from captions import Glossary

FAKES = Path(__file__).parents[1] / "fakes"
RPE = Path(sys.executable).with_name("rpe")


@pytest.fixture(scope="module")
def addresses() -> Iterator[dict[str, str]]:
    """Start the process; the addresses are in the lines that it prints when it takes calls."""
    command = [str(RPE), "fake", "serve", str(FAKES), "--grpc-port", "0", "--control-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        text = "".join(lines)
        yield dict(re.findall(r"(grpc|control) at (?:http://)?([\d.]+:\d+)", text))
        process.terminate()
    assert process.returncode == 0


def ask(address: str, method: str, path: str, body: Any = None) -> Any:
    """Ask the control API."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://{address}{path}", data, method=method)
    with urllib.request.urlopen(request, timeout=5) as response:
        return json.load(response)


async def test_a_fault_that_heals_itself_and_what_came(addresses: dict[str, str]) -> None:
    control = addresses["control"]
    fault = {"method": "Look", "answer": {"error": {"code": "UNAVAILABLE"}}, "calls": 1}
    ask(control, "POST", "/faults", fault)
    async with Glossary(addresses["grpc"]) as glossary:
        assert await glossary.spelling("grpc") == "grpc"
        assert await glossary.spelling("grpc") == "gRPC"
    ask(control, "POST", "/verify", {"method": "Look", "fields": {"word": "grpc"}, "exactly": 2})
    with pytest.raises(urllib.error.HTTPError) as unmet:
        ask(control, "POST", "/verify", {"method": "Look", "fields": {"word": "webrtc"}})
    with unmet.value as answer:
        assert "webrtc" in answer.read().decode()


async def test_other_rules_without_a_restart(addresses: dict[str, str]) -> None:
    rule = {"answer": {"message": {"word": "${request.word}", "spelling": "GRPC!"}}}
    rules = {"service": "glossary.v1.Glossary", "methods": {"Look": [rule]}}
    ask(addresses["control"], "PATCH", "/rules", rules)
    async with Glossary(addresses["grpc"]) as glossary:
        assert await glossary.spelling("grpc") == "GRPC!"
