"""Servers of WebRTC that do not carry pipelines as they should, and the checks that must see it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from rpe.data import RuntimeData, Text
from rpe.fakes.nodes import BUILT_IN, NodeCall, NodeFunction
from rpe.fakes.server import FakeServer
from rpe.testing.fidelity import check_server, checks_of

ECHO = BUILT_IN["Echo"]
COUNT = itertools.count()


def numbered(data: RuntimeData, call: NodeCall) -> RuntimeData:
    return Text(f"{next(COUNT)}")


def short(data: RuntimeData, call: NodeCall) -> RuntimeData:
    return Text(data.text[:1000]) if isinstance(data, Text) else data


def twice(data: RuntimeData, call: NodeCall) -> list[RuntimeData]:
    return [data, data]


Row = tuple[dict[str, Any], dict[str, NodeFunction], set[str]]
BAD: dict[str, Row] = {
    "it does not serve": ({"health": "not_serving"}, {}, {"connect"}),
    "each answer is another": ({}, {"Echo": numbered}, {"execute", "same-answer"}),
    "big outputs are cut": ({}, {"Echo": short}, {"big-message"}),
    "results come twice": ({}, {"Echo": twice}, {"session-order"}),
    "any node type will do": ({}, {"NoSuchNodeTypeAnywhere": ECHO}, {"unknown-node-type"}),
    "nobody is asked for a token": ({}, {}, {"token"}),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_server_goes_red(name: str) -> None:
    behaviour, nodes, red = BAD[name]
    token = "a-t0ken" if red == {"token"} else None
    async with FakeServer(transport="webrtc", behaviour=behaviour, nodes={"Echo": ECHO} | nodes) as fake:
        report = await check_server(fake.endpoint, "webrtc", "Echo", token, red, limit_s=5)
    assert {result.check.name for result in report.failed} == red, report.text()


def test_each_check_has_a_server_that_it_finds_out() -> None:
    assert set().union(*(red for *_, red in BAD.values())) == {check.name for check in checks_of("webrtc")}
