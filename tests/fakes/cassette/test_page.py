"""The page about recording and replaying shows what works, and tells of everything there is."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from typer.testing import CliRunner

from rpe.cli.fake_record import record, replay
from rpe.fakes.cassette import Splice, parse_cassette, parse_splice
from rpe.fakes.cassette.catalogue import Match
from rpe.fakes.cassette.lines import AnswerLine, CallLine, EndLine, HeadersLine, HeadLine, How
from rpe.fakes.cassette.scrubbing import Scrubber
from rpe.fakes.cassette.splice import SpliceKind
from rpe.fakes.mouth import RawCall, RawGrpcServer
from tests.fakes.cassette.calling import ask, channel_to

PAGE = Path(__file__).resolve().parents[3] / "docs" / "fakes-record-replay.md"
TEXT = PAGE.read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


async def test_the_tests_that_are_shown_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def use_my_client(endpoint: str, code: str = "OK") -> None:
        async with channel_to(endpoint) as channel:
            heard = await ask(channel, "/a.B/C", [b"1"], kind="unary_unary")
        assert heard.code == code

    async def see_my_client_fail(endpoint: str) -> None:
        await use_my_client(endpoint, "UNAVAILABLE")

    async def answer(call: RawCall) -> bytes | None:
        return await call.read()

    monkeypatch.chdir(tmp_path)
    [code] = blocks("python")
    async with RawGrpcServer(None, answer) as server:
        shown: dict[str, Any] = {"use_my_client": use_my_client, "see_my_client_fail": see_my_client_fail}
        exec(code.replace("127.0.0.1:50051", server.endpoint), shown)
        for name in ("test_record", "test_replay", "test_my_client_survives_a_cut"):
            await shown[name]()


async def test_the_cassette_that_is_shown_can_be_replayed(
    cassette: Path, replaying: Callable[..., Any]
) -> None:
    [text] = blocks("json")
    assert parse_cassette(text).head.scrub == ("session_id",)
    cassette.write_text(text)  # noqa: ASYNC240
    async with replaying() as (_, channel):
        heard = await ask(channel, "/shop.v1.Shop/Chat", [b"\x0a\x01a"])
    assert (heard.messages, heard.code, heard.details) == ([b"welcome"], "NOT_FOUND", "no such item")


def test_the_commands_and_options_that_are_shown_exist() -> None:
    app = typer.Typer()
    app.command()(record)
    app.command()(replay)
    lines = re.findall(r"^rpe fake (.*)$", TEXT, re.MULTILINE)
    assert len(lines) == 2
    for line in lines:
        command, *words = line.split()
        told = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"})
        assert all(word in told.output for word in words if word.startswith("-")), line
    fault = lines[1].split("--fault ")[1]
    assert parse_splice(fault).place == 3


def test_everything_is_told_of() -> None:
    names = {
        name for line in (HeadLine, CallLine, HeadersLine, AnswerLine, EndLine) for name in line.model_fields
    }
    names |= {field.name for field in dataclasses.fields(Splice)} - {"kind"}
    names |= {*get_args(How), *get_args(SpliceKind), *get_args(Match)}
    told = set(re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL)))
    assert names - told - {"event", "call"} == set()


def test_the_names_that_are_said_to_be_secret_are() -> None:
    [told] = re.findall(r"^- metadata and headers (.*?);\n- what", TEXT, re.DOTALL | re.MULTILINE)
    names = re.findall(r"`([^`]+)`", told)
    assert len(names) == 12
    assert all(Scrubber().is_secret(name) for name in names)
