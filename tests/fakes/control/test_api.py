"""The door of the control API: who is let in, and what everything wrong is answered."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import pytest

from rpe.errors import ConfigurationError
from rpe.fakes import FakeServer
from rpe.fakes.control.api import MAX_BODY_BYTES, ControlServer
from rpe.fakes.control.pipelines import ControlledPipeline

JSON = {"Content-Type": "application/json"}


def controlled(fake: FakeServer) -> ControlledPipeline:
    return ControlledPipeline(fake, lambda: {fake.transport: fake.endpoint})


async def test_a_token_is_needed_where_there_is_one_but_to_see_that_it_lives(serve: Any) -> None:
    async with FakeServer() as fake, serve(controlled(fake), token="open sesame") as api:
        for headers in ({}, {"Authorization": "Bearer no"}, {"Authorization": "open sesame"}):
            for method, path in (("GET", "/"), ("PUT", "/rules"), ("GET", "/metrics"), ("GET", "/nowhere")):
                answer = await api(method, path, headers=headers)
                assert answer.status == 401 and "sesame" not in answer.text
        assert (await api("GET", "/healthz")).form == {"ok": True}
        shown = await api("GET", "/", headers={"Authorization": "Bearer open sesame"})
        assert (shown.status, shown.form["endpoints"]) == (200, {"grpc": fake.endpoint})


async def test_everything_wrong_is_told_in_json(serve: Any) -> None:
    async with FakeServer() as fake, serve(controlled(fake)) as api:
        for status, method, path, options in (
            (403, "GET", "/", {"headers": {"Origin": "http://evil.example"}}),
            (404, "GET", "/nowhere", {}),
            (404, "DELETE", "/faults/7", {}),
            (405, "DELETE", "/rules", {}),
            (400, "PUT", "/rules", {"data": "{", "headers": JSON}),
            (400, "PUT", "/rules", {"data": "a: [", "headers": {"Content-Type": "text/yaml"}}),
            (400, "PUT", "/rules", {"data": ""}),
            (400, "PUT", "/rules", {"data": b"\xff"}),
            (400, "PUT", "/rules", {"data": "[" * 100_000, "headers": JSON}),
            (413, "PUT", "/rules", {"data": io.BytesIO(b"x" * (MAX_BODY_BYTES + 1))}),
        ):
            answer = await api(method, path, **options)
            assert (answer.status, answer.form.keys()) == (status, {"error", "hint"}), answer.text


async def test_curl_needs_no_header_for_a_body(serve: Any) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    async with FakeServer() as fake, serve(controlled(fake)) as api:
        for body in ('{"hang": {"first": 1}}', "hang: {first: 1}"):
            assert (await api("PUT", "/rules", data=body, headers=form)).form == {"hang": {"first": 1}}


async def test_a_port_that_is_taken_is_told_and_nothing_is_left_behind() -> None:
    before = asyncio.all_tasks()
    async with FakeServer() as fake, ControlServer(controlled(fake)) as server:
        other = ControlServer(controlled(fake), port=int(server.endpoint.rpartition(":")[2]))
        with pytest.raises(ConfigurationError, match="cannot be started"):
            await other.start()
        await other.stop()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_stopping_ends_timelines_faults_and_whoever_waits(serve: Any) -> None:
    before = asyncio.all_tasks()
    async with FakeServer() as fake, serve(controlled(fake)) as api:
        await api("POST", "/faults", {"behaviour": {"hang": {}}, "for_s": 60})
        await api("PUT", "/health", [{"at_s": 60, "status": "NOT_SERVING"}])
        waiting = asyncio.create_task(api("GET", "/journal?kind=chunk&wait_s=60"))
        await asyncio.sleep(0.02)
        waiting.cancel()
    await asyncio.sleep(0.01)
    assert asyncio.all_tasks() == before
