"""The examples of docs/fakes-as-a-process.md, against fakes that run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from rpe.fakes import FakeServer
from rpe.fakes.behaviour import Health
from rpe.fakes.control.definitions import ControlledDefinitions
from rpe.fakes.control.pipelines import ControlledPipeline
from rpe.fakes.definition.fake import ProtoFake
from rpe.fakes.health import SERVING_STATUSES

PAGE = (Path(__file__).parents[3] / "docs" / "fakes-as-a-process.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.partition(f"### {title}\n")[2].partition("\n### ")[0]


def curls(text: str) -> list[tuple[str, str, str | None]]:
    """The method, the path and the body of each line that calls curl."""
    found = []
    for line in re.findall(r"^curl .*$", text, re.MULTILINE):
        words = shlex.split(line)[1:]
        method = words[words.index("-X") + 1] if "-X" in words else "GET"
        body = words[words.index("-d") + 1] if "-d" in words else None
        [path] = [word.partition("localhost:9900")[2] for word in words if "localhost:9900" in word]
        found.append((method, path, body))
    return found


async def follow(api: Any, title: str) -> None:
    lines = curls(section(title))
    assert len(lines) > 5
    for method, path, body in lines:
        form = {"Content-Type": "application/x-www-form-urlencoded"}  # what curl sends
        answer = await api(method, path, data=body, headers=form)
        assert answer.status in (200, 201, 204), (method, path, answer.text)


async def test_the_examples_for_a_pipeline(serve: Any) -> None:
    async with (
        FakeServer() as fake,
        serve(ControlledPipeline(fake, lambda: {"grpc": fake.endpoint})) as api,
    ):
        await follow(api, "A pipeline")


async def test_the_examples_for_definitions(serve: Any, define: Any) -> None:
    async with (
        ProtoFake(define(GetItem=[])) as fake,
        serve(ControlledDefinitions(fake, lambda: {"grpc": fake.endpoint})) as api,
    ):
        await follow(api, "Definitions")


async def test_the_page_names_every_path_and_every_metric(serve: Any) -> None:
    async with (
        FakeServer() as fake,
        serve(ControlledPipeline(fake, lambda: {"grpc": fake.endpoint})) as api,
    ):
        paths = (await api("GET", "/")).form["paths"]
        assert [path for path in paths if path not in PAGE.partition("### A pipeline")[0]] == []
        text = (await api("GET", "/metrics")).text
        # The library adds to each counter when it was made.
        names = re.findall(r"^# TYPE (rpe_fake_\w+)(?<!_created) ", text, re.MULTILINE)
        told = section("Metrics")
        assert names and [name for name in names if f"`{name}`" not in told] == []


@pytest.mark.parametrize("status", [*SERVING_STATUSES, *(health.value.upper() for health in Health)])
def test_the_page_names_every_status(status: str) -> None:
    assert f"`{status}`" in section("Health over time")
