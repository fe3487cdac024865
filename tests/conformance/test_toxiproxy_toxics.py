"""What each toxic does to bytes on a wire, through the embedded proxy and through a real Toxiproxy.

Lower bounds of times are exact; upper ones are generous, because the machine may be busy.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.support.wires import Stopwatch

if TYPE_CHECKING:
    from tests.conformance.conftest import Subject

SLACK_S = 1.0
CLOCK_S = 0.001
"""Toxiproxy's clock and ours may disagree by this much about a moment."""


# --- no toxic -----------------------------------------------------------------------------------------------


async def test_bytes_pass_both_ways(subject: Subject) -> None:
    client, server = await subject.wires(await subject.proxy())
    await client.send(b"ping")
    assert await server.exactly(4) == b"ping"
    await server.send(b"pong!")
    assert await client.exactly(5) == b"pong!"


async def test_all_that_was_sent_before_a_close_arrives(subject: Subject) -> None:
    client, server = await subject.wires(await subject.proxy())
    data = bytes(range(256)) * 800
    receiving = asyncio.create_task(server.rest())
    await client.send(data)
    client.close()
    assert await receiving == data


async def test_a_half_close_passes_with_ours(subject: Subject) -> None:
    client, server = await subject.wires(await subject.proxy())
    await client.send(b"question")
    client.half_close()
    assert await server.rest() == b"question"
    if subject.embedded:
        await server.send(b"answer")
        server.close()
        assert await client.rest() == b"answer"
    else:  # Toxiproxy closes both directions
        assert await client.receive() == b""


async def test_a_server_may_speak_first_and_close_first(subject: Subject) -> None:
    client, server = await subject.wires(await subject.proxy())
    await server.send(b"hello")
    server.close()
    assert await client.rest() == b"hello"


async def test_a_refusing_upstream_looks_like_an_end(subject: Subject) -> None:
    proxy = await subject.driver.create_proxy("p", upstream="127.0.0.1:1")
    for _ in range(2):
        client = await subject.connect(proxy)
        assert await client.receive() == b""


async def test_a_reset_by_one_peer_reaches_the_other_as_an_end(subject: Subject) -> None:
    client, server = await subject.wires(await subject.proxy())
    client.reset()
    assert await server.receive() == b""


# --- latency ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
async def test_latency_delays_its_direction_only(subject: Subject, stream: str) -> None:
    proxy = await subject.proxy()
    await subject.driver.add_toxic("p", "latency", stream=stream, attributes={"latency": 60})  # type: ignore[arg-type]
    wires = await subject.wires(proxy)
    sender, receiver = wires if stream == "upstream" else wires[::-1]
    with Stopwatch() as slow:
        await sender.send(b"x")
        await receiver.exactly(1)
    with Stopwatch() as quick:
        await receiver.send(b"x")
        await sender.exactly(1)
    assert 0.060 - CLOCK_S <= slow.took_s < 0.060 + SLACK_S
    assert quick.took_s < slow.took_s


async def test_latencies_add_up_and_do_not_lower_throughput(subject: Subject) -> None:
    proxy = await subject.proxy()
    for name, delay_ms in (("a", 40), ("b", 60)):
        await subject.driver.add_toxic("p", "latency", name=name, attributes={"latency": delay_ms})
    client, server = await subject.wires(proxy)
    data = b"d" * 1_000_000
    with Stopwatch() as watch:
        sending = asyncio.create_task(server.send(data))
        assert await client.exactly(len(data)) == data
        await sending
    assert 0.09 <= watch.took_s < 0.1 + SLACK_S  # more than either of the two alone


async def test_an_end_stays_behind_delayed_bytes(subject: Subject) -> None:
    proxy = await subject.proxy()
    await subject.driver.add_toxic("p", "latency", attributes={"latency": 50})
    client, server = await subject.wires(proxy)
    with Stopwatch() as watch:
        await server.send(b"last words")
        server.close()
        assert await client.rest() == b"last words"
    assert watch.took_s >= 0.05 - CLOCK_S


async def test_jitter_varies_around_the_latency(subject: Subject) -> None:
    proxy = await subject.proxy()
    await subject.driver.add_toxic("p", "latency", attributes={"latency": 20, "jitter": 15})
    client, server = await subject.wires(proxy)
    times = []
    for _ in range(12):
        with Stopwatch() as watch:
            await server.send(b"x")
            await client.exactly(1)
        times.append(watch.took_s)
    assert min(times) >= 0.005 - CLOCK_S
    assert max(times) - min(times) > 0.004


# --- bandwidth ----------------------------------------------------------------------------------------------


async def test_bandwidth_keeps_its_rate(subject: Subject) -> None:
    proxy = await subject.proxy()
    await subject.driver.add_toxic("p", "bandwidth", attributes={"rate": 100})
    client, server = await subject.wires(proxy)
    with Stopwatch() as watch:
        await server.send(b"d" * 15_000)
        await client.exactly(15_000)
    assert 0.150 - CLOCK_S <= watch.took_s < 0.150 + SLACK_S


async def test_bandwidth_sends_a_tenth_of_a_second_at_a_time(subject: Subject) -> None:
    proxy = await subject.proxy()
    await subject.driver.add_toxic("p", "bandwidth", attributes={"rate": 20})
    client, server = await subject.wires(proxy)
    await server.send(b"d" * 5_000)
    assert [len(await client.receive()) for _ in range(3)] == [2_000, 2_000, 1_000]


async def test_a_rate_of_zero_stops_all(subject: Subject) -> None:
    proxy = await subject.proxy()
    await subject.driver.add_toxic("p", "bandwidth", name="t", attributes={"rate": 0})
    client, server = await subject.wires(proxy)
    await server.send(b"stuck")
    assert await client.silent(0.1)
    await subject.driver.remove_toxic("p", "t")
    assert await client.exactly(5) == b"stuck"


# --- slow_close ---------------------------------------------------------------------------------------------


async def test_slow_close_delays_the_end_but_not_the_bytes(subject: Subject) -> None:
    proxy = await subject.proxy()
    await subject.driver.add_toxic("p", "slow_close", attributes={"delay": 80})
    client, server = await subject.wires(proxy)
    with Stopwatch() as watch:
        await server.send(b"x")
        server.close()
        await client.exactly(1)
        assert await client.receive() == b""
    assert 0.08 - CLOCK_S <= watch.took_s < 0.08 + SLACK_S


# --- timeout ------------------------------------------------------------------------------------------------


async def test_timeout_discards_and_then_closes(subject: Subject) -> None:
    proxy = await subject.proxy()
    await subject.driver.add_toxic("p", "timeout", attributes={"timeout": 80})
    client, server = await subject.wires(proxy)
    with Stopwatch() as watch:
        await server.send(b"lost")
        await client.send(b"passes")
        assert await server.exactly(6) == b"passes"
        assert await client.receive() == b""
        assert await server.receive() == b""
    assert 0.08 - CLOCK_S - 0.01 <= watch.took_s < 0.08 + SLACK_S


async def test_timeout_zero_never_closes(subject: Subject) -> None:
    proxy = await subject.proxy()
    await subject.driver.add_toxic("p", "timeout", attributes={"timeout": 0})
    client, server = await subject.wires(proxy)
    await server.send(b"lost")
    assert await client.silent(0.1)
    server.close()
    assert await client.receive() == b""


async def test_bytes_put_a_timeout_off_only_with_toxiproxy(subject: Subject) -> None:
    proxy = await subject.proxy()
    await subject.driver.add_toxic("p", "timeout", attributes={"timeout": 150})
    client, server = await subject.wires(proxy)
    with Stopwatch() as watch:
        ended = asyncio.create_task(client.receive())
        for _ in range(25):
            await asyncio.sleep(0.01)
            if ended.done():
                break
            await server.send(b"lost")
        assert ended.done() == subject.embedded
        assert await ended == b""
    assert watch.took_s >= 0.14


# --- reset_peer ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
async def test_reset_peer_resets_both_peers_after_the_first_bytes(subject: Subject, stream: str) -> None:
    proxy = await subject.proxy()
    await subject.driver.add_toxic("p", "reset_peer", stream=stream, attributes={"timeout": 60})  # type: ignore[arg-type]
    client, server = await subject.wires(proxy)
    sender = client if stream == "upstream" else server
    assert await client.silent(0.1)
    with Stopwatch() as watch:
        await sender.send(b"trigger")
        for wire in (client, server):
            with pytest.raises(ConnectionResetError):
                await wire.receive()
    assert 0.06 - CLOCK_S <= watch.took_s < 0.06 + SLACK_S


async def test_reset_peer_on_a_live_connection_is_a_reset_with_ours(subject: Subject) -> None:
    client, server = await subject.wires(await subject.proxy())
    await subject.driver.add_toxic("p", "reset_peer", stream="upstream")
    await client.send(b"trigger")
    for wire in (client, server):
        if subject.embedded:
            with pytest.raises(ConnectionResetError):
                await wire.receive()
        else:
            assert await wire.receive() == b""


@pytest.mark.parametrize("spared_by", ["toxicity", "removal"])
async def test_reset_peer_spares_whom_it_does_not_act_on_with_ours(subject: Subject, spared_by: str) -> None:
    proxy = await subject.proxy()
    toxicity = 0.0 if spared_by == "toxicity" else 1.0
    await subject.driver.add_toxic("p", "reset_peer", name="t", toxicity=toxicity)
    client, server = await subject.wires(proxy)
    if spared_by == "removal":
        await subject.driver.remove_toxic("p", "t")
    server.close()
    if subject.embedded:
        assert await client.receive() == b""
    else:  # the connection was set up to end in a reset, whatever comes
        with pytest.raises(ConnectionResetError):
            await client.receive()


# --- slicer -------------------------------------------------------------------------------------------------


async def test_slicer_cuts_and_waits_after_each_piece(subject: Subject) -> None:
    proxy = await subject.proxy()
    attributes = {"average_size": 100, "size_variation": 10, "delay": 10_000}
    await subject.driver.add_toxic("p", "slicer", attributes=attributes)
    client, server = await subject.wires(proxy)
    data = bytes(range(250)) * 2
    with Stopwatch() as watch:
        await server.send(data)
        pieces: list[bytes] = []
        while sum(len(piece) for piece in pieces) < len(data):
            pieces.append(await client.receive())
    assert b"".join(pieces) == data
    assert len(pieces) >= 5
    assert len(pieces[0]) <= 110
    assert 0.01 * (len(pieces) - 1) - CLOCK_S <= watch.took_s < 0.1 + SLACK_S


# --- limit_data ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 1000, 50_000])
async def test_limit_data_passes_exactly_so_many_bytes(subject: Subject, limit: int) -> None:
    proxy = await subject.proxy()
    await subject.driver.add_toxic("p", "limit_data", attributes={"bytes": limit})
    client, server = await subject.wires(proxy)
    await server.send(b"d" * (limit + 100))
    assert len(await client.rest()) == limit


async def test_limit_data_closes_as_soon_as_the_limit_is_reached(subject: Subject) -> None:
    proxy = await subject.proxy()
    await subject.driver.add_toxic("p", "limit_data", attributes={"bytes": 10})
    client, server = await subject.wires(proxy)
    await server.send(b"12345")
    assert await client.exactly(5) == b"12345"
    assert await client.silent(0.05)
    await server.send(b"67890")
    assert await client.rest() == b"67890"
    assert await server.receive() == b""


async def test_limit_data_waits_for_later_toxics(subject: Subject) -> None:
    proxy = await subject.proxy()
    await subject.driver.add_toxic("p", "limit_data", attributes={"bytes": 4})
    await subject.driver.add_toxic("p", "latency", attributes={"latency": 50})
    client, server = await subject.wires(proxy)
    with Stopwatch() as watch:
        await server.send(b"123456")
        assert await client.rest() == b"1234"
    assert watch.took_s >= 0.05 - CLOCK_S


async def test_a_limit_of_zero_closes_at_the_first_byte(subject: Subject) -> None:
    proxy = await subject.proxy()
    await subject.driver.add_toxic("p", "limit_data", attributes={"bytes": 0})
    client, server = await subject.wires(proxy)
    assert await client.silent(0.05)
    await server.send(b"x")
    assert await client.receive() == b""


# --- toxicity -----------------------------------------------------------------------------------------------


async def test_toxicity_is_drawn_per_connection(subject: Subject) -> None:
    proxy = await subject.proxy()
    await subject.driver.add_toxic("p", "limit_data", toxicity=0.5, attributes={"bytes": 0})
    outcomes = set()
    for _ in range(40):  # all alike with a chance of 2 in 10 ** 12
        client, server = await subject.wires(proxy)
        await server.send(b"x")
        outcomes.add(await client.receive())
        client.close()
        server.close()
    assert outcomes == {b"", b"x"}
