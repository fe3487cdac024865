"""HTTP servers that break the contract, and the checks that must see it."""

from __future__ import annotations

import pytest

from rpe.testing.fidelity import Verdict, check_server, checks_of
from tests.testing.fidelity.little_server import BROKEN, TOKEN, little_server

SOON_S = 0.2
"""How long a check of a broken server waits for what never comes."""


async def test_the_little_server_keeps_the_contract_where_it_is_whole() -> None:
    async with little_server(token=True) as endpoint:
        report = await check_server(endpoint, "http", token=TOKEN, silence_s=5, limit_s=10)
    assert len(report.of(Verdict.PASS)) == len(checks_of("http")), report.text()


@pytest.mark.parametrize("broken", BROKEN)
async def test_a_broken_server_goes_red(broken: str) -> None:
    red = BROKEN[broken]
    token = TOKEN if red == {"token"} else None
    async with little_server(broken) as endpoint:
        report = await check_server(endpoint, "http", "Echo", token, red, limit_s=SOON_S, silence_s=SOON_S)
    assert {result.check.name for result in report.failed} == red, report.text()


def test_each_check_has_a_server_that_it_finds_out() -> None:
    assert set().union(*BROKEN.values()) == {check.name for check in checks_of("http")}


async def test_the_reason_says_what_was_seen() -> None:
    async with little_server("the status is in the body") as endpoint:
        report = await check_server(endpoint, "http", only=["unknown-session"])
    assert report.results[0].seen == "POST /input was answered with 200 where 404 was due"
    async with little_server("DELETE cuts the output") as endpoint:
        report = await check_server(endpoint, "http", only=["session-delete"])
    assert "closed where the size of a chunk was due" in report.results[0].seen
