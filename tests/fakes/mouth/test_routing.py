"""A server that breaks the wire beside an honest one: the reliable client serves its callers all the same."""

from __future__ import annotations

from typing import Any

import pytest

import rpe
from rpe.client.settings import ClientSettings
from rpe.data import Text
from rpe.errors import InvalidRequest, NetworkError
from rpe.fakes import FakeServer
from rpe.fakes.journal import Kind
from rpe.fakes.mouth import RawGrpcServer
from rpe.manifest.model import Manifest

ECHO = Manifest.single("echo", node_type="Echo")
SETTINGS = ClientSettings(timeout_s=10, attempt_timeout_s=0.3, repeatable=True)
EXECUTE = {"path": "ExecutePipeline"}


def _calls(**fault: Any) -> dict[str, Any]:
    return {"calls": [{**fault, "path": "ExecutePipeline"}]}


@pytest.mark.parametrize(
    "script",
    [
        _calls(kind="status"),
        _calls(kind="status", status=0),
        _calls(kind="no_trailers"),
        _calls(kind="reset", code=2),
        _calls(kind="reset", code=7),
        _calls(kind="reset", code=11),
        _calls(kind="goaway", last="none"),
        _calls(kind="goaway"),
        _calls(kind="length_prefix", off_by=9),
        _calls(kind="length_prefix", off_by=-9),
        _calls(kind="compressed"),
        _calls(kind="cut_varint"),
        _calls(kind="hang"),
        _calls(kind="http_status"),
        _calls(kind="cut_frame"),
        _calls(kind="cut_frame", reset=True),
        {"connections": [{"kind": "no_settings"}]},
        {"connections": [{"kind": "shut_window"}]},
    ],
    ids=str,
)
async def test_every_call_is_served_by_the_honest_one(script: dict[str, Any]) -> None:
    async with RawGrpcServer(script) as broken, FakeServer() as honest:
        async with rpe.connect(
            [broken.endpoint, honest.endpoint], settings=SETTINGS, seed=1, connect_timeout_s=0.2
        ) as client:
            for number in range(6):
                said = Text(f"call {number}")
                assert (await client.execute(ECHO, said)).output == said
        assert broken.journal.entries(Kind.FAULT)
        assert not broken.journal.entries(Kind.SENT, method=EXECUTE["path"])


async def test_what_may_have_been_done_is_not_done_again_unasked() -> None:
    """REFUSED_STREAM alone would say that it was not; RST_STREAM after the headers says nothing of it."""
    settings = ClientSettings(timeout_s=10, repeatable=False)
    async with RawGrpcServer(_calls(kind="reset", code=11)) as broken, FakeServer() as honest:
        async with rpe.connect([broken.endpoint, honest.endpoint], settings=settings, seed=1) as client:
            outcomes = []
            for number in range(2):
                try:
                    await client.execute(ECHO, Text(f"call {number}"))
                except NetworkError as error:
                    outcomes.append(error.maybe_executed)
                else:
                    outcomes.append(False)
        assert sorted(outcomes) == [False, True]


async def test_what_no_other_server_would_take_is_not_tried_there() -> None:
    script = _calls(kind="status", status="invalid_argument")
    async with RawGrpcServer(script) as broken, FakeServer() as honest:
        async with rpe.connect([broken.endpoint, honest.endpoint], settings=SETTINGS, seed=1) as client:
            told = []
            for _ in range(2):
                try:
                    await client.execute(ECHO, Text("x"))
                except InvalidRequest:
                    told.append("refused")
                else:
                    told.append("served")
        assert sorted(told) == ["refused", "served"]
        assert len(await honest.journal_entries()) <= 4
