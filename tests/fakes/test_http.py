"""Every part of a script over HTTP, seen from a plain caller and from the journal: unary calls and health."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import aiohttp
import pytest

from rpe.data import Text, content_hash
from rpe.errors import ConfigurationError
from rpe.fakes import FakeProcess, FakeServer, Kind
from rpe.fakes.behaviour import HttpScript, parse_behaviour
from rpe.fakes.decide import call_rng, decide_http
from tests.support.http_caller import MANIFEST, Caller, calling, text

ENDS = (Kind.SENT, Kind.FAILED, Kind.CANCELLED)


def fake_with(script: dict[str, Any] | None = None, **options: Any) -> FakeServer:
    return FakeServer(transport="http", behaviour=script, **options)


async def outcomes(caller: Caller, count: int) -> list[int | str]:
    """Call so many times, one after the other: the statuses, or the names of errors."""
    told: list[int | str] = []
    for _ in range(count):
        try:
            told.append((await caller.execute())[0])
        except aiohttp.ClientError as error:
            told.append(type(error).__name__)
    return told


async def test_an_honest_echo_and_what_the_journal_says_of_it() -> None:
    async with fake_with(name="b") as fake, calling(fake.endpoint) as caller:
        status, body, _ = await caller.execute(
            "hello", rpe_operation_id="op-1", rpe_attempt="2", rpe_timeout_ms="2000"
        )
        assert (status, body) == (200, {"output": text("hello")})
        received, answered = fake.journal
    for entry in (received, answered):
        assert (entry.server, entry.call, entry.method) == ("b", 1, "execute")
        assert (entry.operation_id, entry.attempt) == ("op-1", 2)
        assert entry.remaining_s is not None
        assert 0 < entry.remaining_s <= 2.0
    assert (received.kind, received.content) == (Kind.RECEIVED, {"n0": content_hash(Text("hello"))})
    assert (answered.kind, answered.content) == (Kind.SENT, {"output": content_hash(Text("hello"))})
    assert repr(fake) == f"<FakeServer b (http) at {fake.endpoint}>"


async def test_the_token_is_asked_for_and_health_goes_without() -> None:
    async with fake_with({"token": "s3cret"}) as fake, calling(fake.endpoint) as caller:
        assert (await caller.execute())[0] == 401
        assert (await caller.execute(Authorization="Bearer other"))[0] == 401
        assert (await caller.execute(Authorization="Bearer s3cret"))[0] == 200
        assert (await caller.ask("POST", "/stream", {"manifest": MANIFEST}))[0] == 401
        assert (await caller.ask("GET", "/health"))[0] == 200
    assert len(fake.journal.entries(fault="token")) == 3


async def test_latency_and_hang() -> None:
    async with fake_with({"latency": {"fixed_s": 0.05}}) as fake, calling(fake.endpoint) as caller:
        began_s = time.monotonic()
        await caller.execute()
        assert time.monotonic() - began_s >= 0.05
        await fake.set_behaviour({"hang": {}})
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await caller.execute()
        end = await fake.journal.wait_for(lambda entry: entry.kind is Kind.CANCELLED)
        assert end.detail == "cancelled"


async def test_an_error_with_its_hint_and_an_error_of_the_pipeline() -> None:
    script = {"error": {"status": "UNAVAILABLE", "message": "as told", "retry_after_s": 0.5}}
    async with fake_with(script) as fake, calling(fake.endpoint) as caller:
        status, body, headers = await caller.execute()
        assert (status, body["message"]) == (503, "as told")
        assert (headers["Retry-After"], headers["rpe-retry-after-ms"]) == ("1", "500")
        await fake.set_behaviour({"application_error": {"message": "no", "node_id": "n0"}})
        status, body, _ = await caller.execute()
        assert (status, body["error_type"], body["node_id"]) == (500, "execution", "n0")


async def test_overload() -> None:
    script = {"overload": {"above_in_flight": 1, "retry_after_s": 2}, "latency": {"fixed_s": 0.1}}
    async with fake_with(script) as fake, calling(fake.endpoint) as caller:
        first = asyncio.create_task(caller.execute())
        await fake.journal.wait_for(lambda entry: entry.fault == "latency")
        status, _, headers = await caller.execute()
        assert (status, headers["Retry-After"]) == (429, "2")
        assert (await first)[0] == 200


@pytest.mark.parametrize(
    "mode", ["truncated_message", "bad_utf8", "short_audio", "empty_oneof", "garbage", "wrong_output"]
)
async def test_corrupted_answers(mode: str) -> None:
    async with fake_with({"corrupt": {"mode": mode}}) as fake, calling(fake.endpoint) as caller:
        status, body, _ = await caller.execute(read_json="no")
        assert status == 200
        if mode == "wrong_output":
            assert json.loads(body)["output"]["data"]["Text"].startswith("the answer to another request")
        elif mode == "empty_oneof":
            assert body == b"{}"
        elif mode == "short_audio":
            audio = json.loads(body)["output"]["data"]["Audio"]
            assert len(audio["samples"]) % audio["channels"]
        else:
            with pytest.raises(ValueError, match=r"."):
                json.loads(body)
    assert [entry.detail for entry in fake.journal.entries(fault="corrupt")] == [mode]


@pytest.mark.parametrize(
    ("health", "status"), [("serving", 200), ("not_serving", 503), ("unimplemented", 501), ("hang", None)]
)
async def test_health(health: str, status: int | None) -> None:
    async with fake_with({"health": health}) as fake, calling(fake.endpoint) as caller:
        if status is not None:
            assert (await caller.ask("GET", "/health"))[0] == status
        else:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await caller.ask("GET", "/health")
        if health != "serving":
            assert [entry.detail for entry in fake.journal.entries(fault="health")] == [health]


# --- what only HTTP can do ------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [400, 404, 418, 429, 500, 502, 503, 599])
async def test_any_status(code: int) -> None:
    script = {"http": {"status": {"code": code, "retry_after_s": 2.0, "message": "as told"}}}
    async with fake_with(script) as fake, calling(fake.endpoint) as caller:
        status, body, headers = await caller.execute()
        assert (status, headers["Retry-After"]) == (code, "2")
        assert "as told" in body["message"]
        assert (await caller.ask("GET", "/health"))[0] == 200
        assert (await caller.ask("POST", "/stream", {"manifest": MANIFEST}))[0] == code
    assert [entry.detail for entry in fake.journal.entries(fault="http_status")] == [str(code)] * 2
    assert {end.detail for end in fake.journal.entries(Kind.FAILED)} == {f"unknown: as told {code}"}


async def test_which_calls_a_status_meets() -> None:
    async with fake_with() as fake, calling(fake.endpoint) as caller:
        for firing, told in (
            ({"first": 2}, [503, 503, 200, 200]),
            ({"every": 2}, [200, 503, 200, 503]),
            ({"rate": 0.0}, [200] * 4),
        ):
            await fake.set_behaviour({"http": {"status": {"code": 503, **firing}}})
            assert await outcomes(caller, 4) == told


async def test_a_rate_depends_on_seed_and_name_alone() -> None:
    async def told(name: str, seed: int) -> list[int | str]:
        script = {"http": {"status": {"code": 500, "rate": 0.5}}}
        async with fake_with(script, name=name, seed=seed) as fake, calling(fake.endpoint) as caller:
            return await outcomes(caller, 24)

    first = await told("a", 1)
    assert set(first) == {200, 500}
    assert await told("a", 1) == first
    assert await told("a", 2) != first
    assert await told("b", 1) != first


async def test_an_error_comes_before_a_status() -> None:
    script = {"error": {"status": "UNAVAILABLE", "first": 1}, "http": {"status": {"code": 418}}}
    async with fake_with(script) as fake, calling(fake.endpoint) as caller:
        assert await outcomes(caller, 2) == [503, 418]


@pytest.mark.parametrize("how", ["cut", "wrong_length"])
async def test_a_broken_body(how: str) -> None:
    script = {"http": {"body": {"how": how, "first": 2}}}
    async with fake_with(script) as fake, calling(fake.endpoint) as caller:
        assert await outcomes(caller, 3) == ["ClientPayloadError", "ClientPayloadError", 200]
    assert [entry.detail for entry in fake.journal.entries(fault="http_body")] == [how] * 2
    assert fake.journal.counts[Kind.SENT] == 3, "the work was done, and only its answer was lost"


async def test_a_body_is_broken_once() -> None:
    script = {"http": {"body": {}}, "corrupt": {"mode": "empty_oneof", "first": 1}}
    async with fake_with(script) as fake, calling(fake.endpoint) as caller:
        assert await outcomes(caller, 2) == [200, "ClientPayloadError"]
    assert len(fake.journal.entries(fault="http_body")) == 1
    assert len(fake.journal.entries(fault="corrupt")) == 1


async def test_an_error_of_the_pipeline_has_no_body_to_break() -> None:
    script: dict[str, Any] = {"http": {"body": {}}, "application_error": {}}
    async with fake_with(script) as fake, calling(fake.endpoint) as caller:
        assert await outcomes(caller, 1) == [500]
    assert fake.journal.entries(fault="http_body") == []


def test_the_draws_are_apart_from_each_other() -> None:
    def drawn(**parts: Any) -> list[tuple[bool, bool]]:
        script = HttpScript.model_validate(parts)
        plans = [decide_http(script, number, call_rng(1, "a/http", number)) for number in range(40)]
        return [(plan.status is not None, plan.body is not None) for plan in plans]

    status, body = {"code": 500, "rate": 0.5}, {"rate": 0.5}
    both = drawn(status=status, body=body)
    assert [each[0] for each in both] == [each[0] for each in drawn(status=status)]
    assert [each[1] for each in both] == [each[1] for each in drawn(body=body)]
    assert len(set(both)) == 4


# --- where such a script may be used --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "named"),
    [
        ({"status": {"code": 503}}, "http.status"),
        ({"body": {}}, "http.body"),
        ({"events": {"how": "late"}}, "http.events"),
        ({"idle_close_s": 1.0, "body": {}}, "http.body, http.idle_close_s"),
    ],
)
async def test_other_wires_refuse_it_by_the_names_of_its_parts(part: dict[str, Any], named: str) -> None:
    script = {"http": part}
    for make in (FakeServer, FakeProcess):
        with pytest.raises(ConfigurationError, match=f"{named}: the grpc transport cannot"):
            make(transport="grpc", behaviour=script)
        with pytest.raises(ConfigurationError, match="grpc"):
            make(transport="grpc", behaviour=parse_behaviour(script))
        make(transport="http", behaviour=script)
        make(transport="grpc", behaviour={"http": {}})
    fake = FakeServer(transport="grpc")
    with pytest.raises(ConfigurationError, match=named):
        await fake.set_behaviour(script)
    assert fake.brain.behaviour == parse_behaviour({})
    process = FakeProcess(transport="grpc")
    with pytest.raises(ConfigurationError, match=named):
        await process.set_behaviour(script)


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ({"status": {"code": 200}}, "http.status.code"),
        ({"status": {"code": 600}}, "http.status.code"),
        ({"status": {}}, "http.status.code"),
        ({"body": {"how": "gone"}}, "http.body.how"),
        ({"events": {}}, "http.events.how"),
        ({"events": {"how": "early"}}, "http.events.how"),
        ({"idle_close_s": 0}, "http.idle_close_s"),
    ],
)
def test_wrong_parts_are_named(script: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        parse_behaviour({"http": script})


async def test_idle_connections_are_closed_and_the_script_may_change_that() -> None:
    async with fake_with({"http": {"idle_close_s": 0.05}}) as fake:
        reader, writer = await asyncio.open_connection(*fake.endpoint.split(":"))
        writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(5):
            assert b"200 OK" in await reader.read(1000)
            assert await reader.read(1000) == b""
        writer.close()
        await writer.wait_closed()


async def test_a_fake_in_a_process_of_its_own() -> None:
    script = {"http": {"status": {"code": 418, "first": 1}}}
    async with FakeProcess(transport="http", behaviour=script) as fake, calling(fake.endpoint) as caller:
        assert await outcomes(caller, 2) == [418, 200]
        assert [entry.fault for entry in await fake.journal_entries() if entry.fault] == ["http_status"]


async def test_it_comes_back_at_the_same_port() -> None:
    async with fake_with() as fake, calling(fake.endpoint) as caller:
        before = fake.endpoint
        await caller.execute()
        await fake.restart(graceful=False)
        assert fake.endpoint == before
        assert (await caller.execute())[0] == 200
        assert fake.journal.counts[Kind.SENT] == 2
