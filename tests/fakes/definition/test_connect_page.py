"""The page about the HTTP side shows what works: its commands are run, and its answers compared."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet, MethodOptions

from rpe.fakes.definition import ProtoFake, parse_definition

PAGE = Path(__file__).resolve().parents[3] / "docs" / "fakes-connect.md"
TEXT = PAGE.read_text(encoding="utf-8")
CURLS = [line for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]
SHOWN = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)]
[EVENTS] = re.findall(r"```text\n(.*?)```", TEXT, re.DOTALL)

RULES: dict[str, Any] = {
    "GetItem": [
        {
            "when": {"fields": {"id": "8"}},
            "answer": {"error": {"code": "NOT_FOUND", "message": "no item ${request.id}"}},
        },
        {"answer": {"message": {"id": "${request.id}", "price_cents": 250}}},
    ],
    "ListItems": [{"answer": {"messages": [{"message": {"id": "${request.id}"}}, {"message": {"id": "8"}}]}}],
}


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl on this machine")
async def test_the_commands_that_are_shown_give_the_answers_that_are_shown(shop: Path) -> None:
    files = FileDescriptorSet.FromString((shop / "shop.binpb").read_bytes())
    [service] = [service for file in files.file for service in file.service]
    service.method[0].options.idempotency_level = MethodOptions.NO_SIDE_EFFECTS
    (shop / "page.binpb").write_bytes(files.SerializeToString())
    data = {"descriptors": {"set": "page.binpb"}, "service": "shop.v1.Shop", "methods": RULES}
    async with ProtoFake(parse_definition(data, shop), port=None, http_port=0) as fake:

        async def run(command: str) -> str:
            args = shlex.split(command.replace("127.0.0.1:8080", fake.http_endpoint))
            process = await asyncio.create_subprocess_exec(*args, "-s", stdout=asyncio.subprocess.PIPE)
            told, _ = await process.communicate()
            assert process.returncode == 0
            return told.decode()

        post, get, events = (line for line in CURLS if line.startswith("curl"))
        assert json.loads(await run(post)) == SHOWN[0]
        assert json.loads(await run(get)) == SHOWN[0]
        assert json.loads(await run(post.replace('"7"', '"8"'))) == SHOWN[1]
        assert (await run(events)).strip() == EVENTS.strip()
        assert [call.code for call in fake.calls()] == ["OK", "OK", "NOT_FOUND", "OK"]


def test_the_options_that_are_shown_are_there() -> None:
    import typer.main

    from rpe.cli.fake_definitions import fakes

    commands: Any = typer.main.get_command(fakes)
    there = {name for command in commands.commands.values() for part in command.params for name in part.opts}
    shown = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", TEXT))
    assert shown and shown <= there
