"""The scenarios hold with faults made by a real Toxiproxy, as they do with our own proxy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rpe.chaos.verdict import Status
from rpe.faults.driver import ToxiproxyDriver
from tests.support.cells import cell, run, summary
from tests.support.real_toxiproxy import real_toxiproxy

pytestmark = pytest.mark.toxiproxy

SHAPES = {
    "latency": "slow-primary",
    "bandwidth": "bandwidth-squeeze",
    "slicer": "tiny-packets",
    "limit_data": "limit-data",
    "reset": "connection-resets",
}
LOSSES = {
    "down": "neighbour-of-a-dead-one",
    "flapping": "flapping-slow",
    "blackhole": "blackhole-open-connection",
    "partition": "both-ways",
    "partition_oneway": "one-way",
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with real_toxiproxy() as url:
        yield url


@pytest.mark.parametrize("kinds", [SHAPES, LOSSES], ids=["shapes", "losses"])
async def test_scenarios_pass_on_it(
    kinds: dict[str, str], url: str, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    outcomes = await run([("rpe", cell(name)) for name in kinds.values()], tmp_path, proxy=url, to_pass=True)
    for (kind, name), outcome in zip(kinds.items(), outcomes, strict=True):
        with subtests.test(kind=kind, scenario=name):
            assert kind in {fault.kind for fault in cell(name).scenario.faults}
            assert outcome.verdict.status is Status.PASS, summary(outcome.verdict)
    async with ToxiproxyDriver(url) as driver:
        assert await driver.proxies() == {}, "runs leave nothing behind"


async def test_the_pools_of_a_pipeline_are_behind_it_too(url: str, tmp_path: Path) -> None:
    (outcome,) = await run([("rpe", cell("pool-after-pool"))], tmp_path, proxy=url, to_pass=True)
    assert outcome.verdict.status is Status.PASS, summary(outcome.verdict)


async def test_a_known_bad_client_goes_red_on_it_too(url: str, tmp_path: Path) -> None:
    client = "tests.known_bad.clients:first_endpoint_only"
    (outcome,) = await run([(client, cell("slow-primary"))], tmp_path, proxy=url)
    assert outcome.verdict.status is Status.FAIL, summary(outcome.verdict)
