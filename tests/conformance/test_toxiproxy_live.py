"""Toxics that are added, changed and removed while connections are open. One suite for both servers.

The API answers when every live connection has taken the change.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.support.wires import Stopwatch

if TYPE_CHECKING:
    from tests.conformance.conftest import Subject

LONG_MS = 30_000
SOON_S = 2.0


async def test_an_added_toxic_acts_on_the_very_next_byte(subject: Subject) -> None:
    wires = [
        await subject.wires(await subject.proxy()),
        await subject.wires(await subject.driver.get_proxy("p")),
    ]
    for _ in range(3):
        await subject.driver.add_toxic("p", "latency", name="t", attributes={"latency": 30})
        for client, server in wires:
            with Stopwatch() as watch:
                await server.send(b"x")
                await client.exactly(1)
            assert watch.took_s >= 0.029
        await subject.driver.remove_toxic("p", "t")
        for client, server in wires:
            with Stopwatch() as watch:
                await server.send(b"x")
                await client.exactly(1)
            assert watch.took_s < 0.029


@pytest.mark.parametrize("change", ["remove", "update", "reset"])
async def test_the_chunk_being_delayed_goes_out_at_once(subject: Subject, change: str) -> None:
    proxy = await subject.proxy()
    await subject.driver.add_toxic("p", "latency", name="t", attributes={"latency": LONG_MS})
    client, server = await subject.wires(proxy)
    await server.send(b"held")
    assert await client.silent(0.05)
    await _change(subject, change, {"latency": 2 * LONG_MS})
    assert await client.exactly(4) == b"held"


async def test_queued_chunks_take_the_new_latency(subject: Subject) -> None:
    proxy = await subject.proxy()
    await subject.driver.add_toxic("p", "latency", name="t", attributes={"latency": LONG_MS})
    client, server = await subject.wires(proxy)
    with Stopwatch() as watch:
        for _ in range(3):
            await server.send(b"x")
            await asyncio.sleep(0.02)
        await subject.driver.update_toxic("p", "t", attributes={"latency": 120})
        assert await client.exactly(3) == b"xxx"
    assert 0.15 <= watch.took_s < SOON_S


@pytest.mark.parametrize("change", ["remove", "update"])
async def test_the_rest_of_a_slow_chunk_goes_out_at_once(subject: Subject, change: str) -> None:
    proxy = await subject.proxy()
    await subject.driver.add_toxic("p", "bandwidth", name="t", attributes={"rate": 1})
    client, server = await subject.wires(proxy)
    await server.send(b"d" * 5_000)
    assert await client.exactly(100) == b"d" * 100
    with Stopwatch() as watch:
        await _change(subject, change, {"rate": 2})
        await client.exactly(4_900)
    assert watch.took_s < SOON_S


@pytest.mark.parametrize("change", ["remove", "update"])
async def test_the_rest_of_a_sliced_chunk_goes_out_in_one_piece(subject: Subject, change: str) -> None:
    proxy = await subject.proxy()
    attributes = {"average_size": 10, "delay": LONG_MS * 1000}
    await subject.driver.add_toxic("p", "slicer", name="t", attributes=attributes)
    client, server = await subject.wires(proxy)
    await server.send(b"d" * 500)
    first = len(await client.receive())
    assert first <= 10
    await _change(subject, change, {"average_size": 20})
    assert len(await client.receive()) == 500 - first


async def test_removing_slow_close_closes_now(subject: Subject) -> None:
    proxy = await subject.proxy()
    await subject.driver.add_toxic("p", "slow_close", name="t", attributes={"delay": LONG_MS})
    client, server = await subject.wires(proxy)
    server.close()
    assert await client.silent(0.05)
    await subject.driver.remove_toxic("p", "t")
    assert await client.receive() == b""


async def test_updating_slow_close_starts_the_wait_again(subject: Subject) -> None:
    proxy = await subject.proxy()
    await subject.driver.add_toxic("p", "slow_close", name="t", attributes={"delay": LONG_MS})
    client, server = await subject.wires(proxy)
    server.close()
    await asyncio.sleep(0.05)
    with Stopwatch() as watch:
        await subject.driver.update_toxic("p", "t", attributes={"delay": 80})
        assert await client.receive() == b""
    assert 0.079 <= watch.took_s < SOON_S


@pytest.mark.parametrize("change", ["remove", "reset"])
async def test_removing_a_timeout_closes_the_connection(subject: Subject, change: str) -> None:
    proxy = await subject.proxy()
    await subject.driver.add_toxic("p", "timeout", name="t", attributes={"timeout": 0})
    client, server = await subject.wires(proxy)
    await _change(subject, change, {})
    assert await client.receive() == b""
    assert await server.receive() == b""


async def test_removing_a_timeout_that_did_not_act_spares_the_connection_with_ours(subject: Subject) -> None:
    proxy = await subject.proxy()
    await subject.driver.add_toxic("p", "timeout", name="t", toxicity=0, attributes={"timeout": 0})
    client, server = await subject.wires(proxy)
    await subject.driver.remove_toxic("p", "t")
    if subject.embedded:
        await server.send(b"alive")
        assert await client.exactly(5) == b"alive"
    else:
        assert await client.receive() == b""


async def test_a_timeout_on_a_live_connection_counts_from_its_addition_and_from_its_update(
    subject: Subject,
) -> None:
    client, _ = await subject.wires(await subject.proxy())
    with Stopwatch() as watch:
        await subject.driver.add_toxic("p", "timeout", name="t", attributes={"timeout": 150})
        await asyncio.sleep(0.08)
        await subject.driver.update_toxic("p", "t", attributes={"timeout": 100})
        assert await client.receive() == b""
    assert 0.179 <= watch.took_s < SOON_S


async def test_limit_data_keeps_its_count_over_an_update_but_not_over_a_removal(subject: Subject) -> None:
    proxy = await subject.proxy()
    await subject.driver.add_toxic("p", "limit_data", name="t", attributes={"bytes": 10})
    client, server = await subject.wires(proxy)
    await server.send(b"123456")
    await client.exactly(6)
    await subject.driver.remove_toxic("p", "t")
    await subject.driver.add_toxic("p", "limit_data", name="t", attributes={"bytes": 10})
    await server.send(b"123456")
    await client.exactly(6)
    await subject.driver.update_toxic("p", "t", attributes={"bytes": 8})
    await server.send(b"123456")
    assert await client.rest() == b"12"


async def test_a_limit_below_what_has_passed_acts_at_the_next_bytes(subject: Subject) -> None:
    proxy = await subject.proxy()
    await subject.driver.add_toxic("p", "limit_data", name="t", attributes={"bytes": 100})
    client, server = await subject.wires(proxy)
    await server.send(b"123456")
    await client.exactly(6)
    await subject.driver.update_toxic("p", "t", attributes={"bytes": 3})
    assert await client.silent(0.05)
    await server.send(b"7")
    assert await client.receive() == b""


async def test_a_toxic_that_is_turned_up_begins_then(subject: Subject) -> None:
    proxy = await subject.proxy()
    await subject.driver.add_toxic("p", "timeout", name="t", toxicity=0, attributes={"timeout": 60})
    client, _ = await subject.wires(proxy)
    assert await client.silent(0.1)
    with Stopwatch() as watch:
        await subject.driver.update_toxic("p", "t", toxicity=1)
        assert await client.receive() == b""
    assert 0.059 <= watch.took_s < SOON_S


async def test_toxicity_can_be_turned_up_and_down_on_a_live_connection(subject: Subject) -> None:
    proxy = await subject.proxy()
    await subject.driver.add_toxic("p", "timeout", name="t", toxicity=0, attributes={"timeout": 0})
    client, server = await subject.wires(proxy)
    await server.send(b"a")
    assert await client.exactly(1) == b"a"
    await subject.driver.update_toxic("p", "t", toxicity=1)
    await server.send(b"b")
    assert await client.silent(0.05)
    await subject.driver.update_toxic("p", "t", toxicity=0)
    await server.send(b"c")
    assert await client.exactly(1) == b"c"


async def test_a_toxic_before_a_timeout_can_be_removed(subject: Subject) -> None:
    proxy = await subject.proxy()
    await subject.driver.add_toxic("p", "latency", name="l", attributes={"latency": LONG_MS})
    await subject.driver.add_toxic("p", "timeout", name="t", attributes={"timeout": 0})
    client, server = await subject.wires(proxy)
    await server.send(b"x")
    with Stopwatch() as watch:
        await subject.driver.remove_toxic("p", "l")
    assert watch.took_s < 1.0
    await subject.driver.remove_toxic("p", "t")
    assert await client.receive() == b""


async def test_removing_a_waiting_reset_peer_lets_the_connection_live_with_ours(ours: Subject) -> None:
    proxy = await ours.proxy()
    await ours.driver.add_toxic("p", "reset_peer", name="t", attributes={"timeout": LONG_MS})
    client, server = await ours.wires(proxy)
    await server.send(b"trigger")
    await asyncio.sleep(0.02)
    with Stopwatch() as watch:  # Toxiproxy would answer after the wait
        await ours.driver.remove_toxic("p", "t")
    assert watch.took_s < SOON_S
    await server.send(b"alive")
    assert await client.exactly(5) == b"alive"


async def test_no_call_hangs_on_a_receiver_that_does_not_read(ours: Subject) -> None:
    """Toxiproxy answers 503 after 25 s, and may never recover."""
    proxy = await ours.proxy()
    client, server = await ours.wires(proxy)
    flood = asyncio.create_task(server.send(b"f" * 20_000_000))
    await asyncio.sleep(0.1)
    assert not flood.done(), "the sender was not held back"
    with Stopwatch() as watch:
        await ours.driver.add_toxic("p", "bandwidth", name="b", attributes={"rate": 1_000_000})
        await ours.driver.add_toxic("p", "latency", name="l", attributes={"latency": 1})
        await ours.driver.update_toxic("p", "l", attributes={"latency": 2})
        await ours.driver.remove_toxic("p", "b")
        await ours.driver.proxies()
        await ours.driver.reset()
    assert watch.took_s < SOON_S
    with Stopwatch() as watch:
        await ours.driver.update_proxy("p", enabled=False)
    assert watch.took_s < SOON_S
    with pytest.raises(ConnectionError):
        await flood
    client.close()


async def _change(subject: Subject, change: str, attributes: dict[str, int]) -> None:
    match change:
        case "remove":
            await subject.driver.remove_toxic("p", "t")
        case "update":
            await subject.driver.update_toxic("p", "t", attributes=attributes)
        case "reset":
            await subject.driver.reset()
