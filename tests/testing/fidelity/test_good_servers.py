"""Our own servers keep the contract: the fake, the real one, and the raw one where it is honest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from rpe.errors import ConfigurationError, ConnectFailed
from rpe.fakes.brain import Brain
from rpe.fakes.mouth import RawGrpcServer
from rpe.fakes.nodes import BUILT_IN
from rpe.fakes.server import FakeServer
from rpe.node.serving.server import serve_pipelines
from rpe.testing.fidelity import TRANSPORTS, Verdict, check_server, checks_of
from rpe.transport.http.server import HttpPipelineServer
from rpe.transport.serving import ServerSettings
from tests.testing.fidelity.plain_grpc import plain_grpc_server

TOKEN = "a-t0ken"
LIMIT_S = 10.0
"""No check needs it; a busy machine may."""


@asynccontextmanager
async def server(make: str, wire: str) -> AsyncIterator[str]:
    if make == "fake":
        async with FakeServer(transport=wire, behaviour={"token": TOKEN}) as fake:
            yield fake.endpoint
    else:
        async with serve_pipelines(wire, token=TOKEN) as served:
            yield served.endpoint


@pytest.mark.parametrize("make", ["fake", "real"])
@pytest.mark.parametrize("wire", TRANSPORTS)
async def test_every_check_passes(make: str, wire: str) -> None:
    async with server(make, wire) as endpoint:
        report = await check_server(endpoint, wire, token=TOKEN, limit_s=LIMIT_S)
    assert report.passed, report.text()
    passed = [result.check for result in report.of(Verdict.PASS)]
    assert passed == [check for check in checks_of(wire) if not check.in_silence], report.text()


async def test_a_server_that_breaks_its_silence_passes_where_it_is_waited_for() -> None:
    async with HttpPipelineServer(Brain(), ServerSettings(), comment_s=0.02) as quick:
        report = await check_server(quick.endpoint, "http", "Echo", only=["events-keep-alive"], silence_s=5)
    assert report.passed, report.text()
    async with HttpPipelineServer(Brain(), ServerSettings(), comment_s=60) as slow:
        report = await check_server(
            slow.endpoint, "http", "Echo", only=["events-keep-alive"], silence_s=0.1, limit_s=0.3
        )
    assert report.results[0].seen == "0.4 s were over while it waited for more of a body"


async def test_the_raw_server_keeps_all_but_deadlines() -> None:
    """It leaves deadlines to its answers, and the default one has none of its own."""
    wanted = [check.name for check in checks_of("grpc") if check.name != "deadline"]
    async with RawGrpcServer() as raw:
        report = await check_server(raw.endpoint, only=wanted, limit_s=LIMIT_S)
    assert report.passed, report.text()
    assert {result.check.name for result in report.of(Verdict.UNKNOWN)} == {"token"}


async def test_a_server_that_somebody_else_wrote_passes() -> None:
    async with plain_grpc_server() as endpoint:
        report = await check_server(endpoint, node_type="Mirror", limit_s=LIMIT_S)
        with pytest.raises(ConfigurationError, match="none of the node types"):
            await check_server(endpoint, limit_s=LIMIT_S)
    assert report.passed, report.text()
    told = {result.check.name: result.seen for result in report.of(Verdict.UNKNOWN)}
    assert set(told) == {"health", "token"}
    assert "no health service" in told["health"]


async def test_checks_that_are_cancelled_leave_nothing_behind() -> None:
    async with RawGrpcServer({"calls": [{"kind": "hang"}]}) as raw:
        checking = asyncio.create_task(check_server(raw.endpoint, node_type="Echo", only=["execute"]))
        await raw.journal.wait_for(lambda entry: entry.fault == "hang")
        checking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await checking


async def test_what_cannot_be_checked_is_said_with_its_reason() -> None:
    async with FakeServer(transport="http") as fake:
        report = await check_server(fake.endpoint, "http", only=["token", "events-keep-alive"])
    assert not report.passed and not report.failed
    told = {result.check.name: result.seen for result in report.of(Verdict.UNKNOWN)}
    assert "no token was given" in told["token"]
    assert "how long the server may be silent" in told["events-keep-alive"]


@pytest.mark.parametrize("wire", TRANSPORTS)
async def test_the_node_type_is_found_at_the_server(wire: str) -> None:
    nodes = {"Reverse": BUILT_IN["Reverse"], "PassThrough": BUILT_IN["PassThrough"]}
    async with FakeServer(transport=wire, nodes=nodes) as fake:
        report = await check_server(fake.endpoint, wire, only=["execute"], limit_s=LIMIT_S)
    assert (report.node_type, report.passed) == ("PassThrough", True)


async def test_a_node_type_that_changes_what_it_gets_is_no_echo() -> None:
    async with FakeServer() as fake:
        report = await check_server(fake.endpoint, node_type="UpperCase", only=["execute", "split-message"])
    assert {result.check.name: result.verdict for result in report.results} == {
        "execute": "fail",
        "split-message": "fail",
    }


async def test_no_echo_at_all_is_told_before_any_check() -> None:
    async with FakeServer(nodes={"Reverse": BUILT_IN["Reverse"]}) as fake:
        with pytest.raises(ConfigurationError, match="none of the node types Echo, PassThrough"):
            await check_server(fake.endpoint, limit_s=LIMIT_S)


async def test_a_url_with_a_path_is_an_address_of_http() -> None:
    async with FakeServer(transport="http") as fake:
        report = await check_server(f"http://{fake.endpoint}/", "http", only=["health", "execute"])
        below = await check_server(f"http://{fake.endpoint}/elsewhere", "http", "Echo", only=["health"])
    assert report.passed, report.text()
    assert "answered with 404" in below.results[0].seen


@pytest.mark.parametrize(
    ("endpoint", "options", "told"),
    [
        ("127.0.0.1", {}, "no address to check"),
        ("127.0.0.1:99999", {}, "no address to check"),
        ("https://127.0.0.1:1", {"transport": "http"}, "no address to check"),
        ("http://127.0.0.1:1", {"transport": "grpc"}, "no address to check"),
        ("192.0.2.1:50051", {"token": "x"}, "in clear text beyond this machine"),
        ("127.0.0.1:1", {"transport": "pigeon"}, "no fidelity checks for the transport 'pigeon'"),
        ("127.0.0.1:1", {"only": ["no-such-check"]}, "no check for grpc is named no-such-check"),
        ("127.0.0.1:1", {"limit_s": 0}, "limit_s must be above 0"),
    ],
)
async def test_what_is_asked_wrongly_is_told(endpoint: str, options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        await check_server(endpoint, **options)


async def test_where_nothing_listens_nothing_is_judged() -> None:
    async with FakeServer() as fake:
        gone = fake.endpoint
    with pytest.raises(ConnectFailed, match="nothing can be checked"):
        await check_server(gone)
