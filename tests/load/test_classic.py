"""The users of Locust's classic style, and the load tests of the house, each in a short run."""

from __future__ import annotations

import asyncio

import pytest

from rpe.fakes import FakeProcess, Kind
from tests.load.runs import LIMIT_S, LOADTESTS, run_locust


async def calls_of(fake: FakeProcess, *methods: str) -> None:
    """Wait until the server has had a few calls of each method."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            entries = await fake.journal_entries()
            came = [entry.method for entry in entries if entry.kind is Kind.RECEIVED]
            if all(came.count(method) >= 3 for method in methods):
                return
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(("user", "transport"), [("PlainGrpc", "grpc"), ("PlainHttp", "http")])
async def test_plain_users_are_dealt_out_and_report_what_became_of_their_calls(
    user: str, transport: str
) -> None:
    broken = {"error": {"status": "invalid_argument", "message": "no such voice"}}
    async with (
        FakeProcess("good", transport=transport) as good,
        FakeProcess("bad", transport=transport, behaviour=broken) as bad,
    ):
        both = f"{good.endpoint},{bad.endpoint}"
        run = await run_locust(
            LOADTESTS / "classic.py", both, user, "-u", "2", "-r", "2", until=calls_of(bad, "execute")
        )
        seen = {
            fake.name: sum(entry.kind is Kind.RECEIVED for entry in await fake.journal_entries())
            for fake in (good, bad)
        }
    kind = "execute" if transport == "grpc" else "POST"
    failed, asked = run.failed(kind, "echo"), run.requests(kind, "echo")
    assert 0 < failed <= seen["bad"] <= failed + 1, run.output
    assert 0 < asked - failed <= seen["good"] <= asked - failed + 1
    assert run.code == 1
    wanted = "INVALID_ARGUMENT: no such voice" if transport == "grpc" else "HTTP 400"
    assert any(wanted in text for _, text in run.failures), run.failures


@pytest.mark.slow
@pytest.mark.parametrize("file", ["mixed", "ramp", "soak"])
async def test_a_load_test_of_the_house_runs_without_a_failure(file: str) -> None:
    async with FakeProcess() as fake:
        run = await run_locust(
            LOADTESTS / f"{file}.py",
            fake.endpoint,
            "-u",
            "7",
            "-r",
            "7",
            until=None if file == "ramp" else calls_of(fake, "execute", "stream"),  # a ramp has an end
            RPE_SESSION_S="0.2",
            RPE_RAMP_USERS="1,3",
            RPE_RAMP_STEP_S="2",
            RPE_SOAK_SAY_S="0.5",
        )
    assert run.code == 0, run.output
    assert run.failures == []
    if file == "soak":
        assert "soak: process" in run.output
