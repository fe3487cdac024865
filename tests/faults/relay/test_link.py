"""A link with real sockets: addresses, impairments in time, rebinding, and its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rpe.errors import ConfigurationError
from rpe.faults.relay import flow as flows
from rpe.faults.relay.impairments import Bandwidth, Corruption, Delay, Duplicate, Loss, Partition, Reorder
from rpe.faults.relay.link import RelayLink


@pytest.fixture
async def link() -> AsyncIterator[RelayLink]:
    made = RelayLink("a", seed=3)
    yield made
    made.close()


def port_is_free(address: tuple[str, int]) -> bool:
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind(address)
        except OSError:
            return False
    return True


async def test_each_agent_sees_the_relay_as_the_other(link: RelayLink, server: Any, client: Any) -> None:
    front = link.forward(server.address)
    client.send(b"hello", front)
    assert await client.wait_for(1) == [b"hello"]
    assert client.got[0][1] == front
    assert server.got[0][1] in link.addresses("server")
    assert server.got[0][1] != client.address
    assert link.stats("upstream").as_json() == {
        "received_packets": 1,
        "received_bytes": 5,
        "sent_packets": 1,
        "sent_bytes": 5,
        "dropped_packets": 0,
        "lost_packets": 0,
    }


async def test_sources_are_told_apart_as_by_a_nat(
    link: RelayLink, server: Any, client: Any, stranger: Any
) -> None:
    front = link.forward(server.address)
    client.send(b"one", front)
    stranger.send(b"two", front)
    assert await client.wait_for(1) == [b"one"]
    assert await stranger.wait_for(1) == [b"two"]
    assert len({source for _, source in server.got}) == 2


async def test_an_announced_address_has_its_socket_before_it_speaks(
    link: RelayLink, server: Any, client: Any
) -> None:
    """The server's agent may send first: its checks reach the client's candidate."""
    flow = link.open_flow()
    to_client = flow.stand_in(client.address, facing="server")
    assert to_client is not None
    server.send(b"check", to_client.address)
    assert await client.wait_for(1) == [b"check"]
    # And what the client got came from an address that stands for the server's.
    client.send(b"answer", client.got[0][1])
    assert await server.wait_for(1) == [b"answer"]
    assert server.got[0][1] == to_client.address


async def test_a_candidate_moves_to_where_its_port_is_seen(link: RelayLink, server: Any, client: Any) -> None:
    """An agent that listens on all interfaces announces one address and sends from another."""
    flow = link.open_flow()
    announced = ("127.0.0.2", client.address[1])
    stand_in = flow.stand_in(announced, facing="server")
    front = flow.stand_in(server.address, facing="client")
    assert stand_in is not None
    assert front is not None
    client.send(b"x", front.address)
    assert await client.wait_for(1) == [b"x"]
    assert server.got[0][1] == stand_in.address
    assert stand_in.stands_for == client.address


async def test_too_many_sources_are_strangers_until_one_has_been_silent(
    link: RelayLink, server: Any, client: Any, stranger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flows, "FLOW_LIMIT", 1)
    front = link.forward(server.address)
    client.send(b"first", front)
    await client.wait_for(1)
    stranger.send(b"second", front)
    assert await stranger.stays_silent()
    assert link.stats("upstream").lost == 1
    monkeypatch.setattr(flows, "IDLE_S", -1.0)
    stranger.send(b"third", front)
    assert await stranger.wait_for(1) == [b"third"]
    assert len(link.addresses("server")) == 1


async def test_a_partition_is_silent_and_a_relieved_link_works_at_once(
    link: RelayLink, server: Any, client: Any
) -> None:
    front = link.forward(server.address)
    link.impair("cut", "upstream", Partition())
    client.send(b"lost", front)
    assert await client.stays_silent()
    assert server.got == []
    link.relieve("cut")
    link.impair("cut", "downstream", Partition())
    client.send(b"half", front)
    await server.wait_for(1)
    assert await client.stays_silent()
    link.relieve("cut")
    client.send(b"whole", front)
    assert await client.wait_for(1) == [b"whole"]
    stats = link.impairment_stats("cut")
    assert stats is not None
    assert stats.as_json()["dropped"] == 1
    assert link.stats("upstream").dropped == link.stats("downstream").dropped == 1


async def test_a_delay_holds_back_and_its_end_lets_everything_go_in_order(
    link: RelayLink, server: Any, client: Any
) -> None:
    front = link.forward(server.address)
    link.impair("slow", "upstream", Delay(0.1))
    began = asyncio.get_running_loop().time()
    client.send(b"late", front)
    await client.wait_for(1)
    assert asyncio.get_running_loop().time() - began >= 0.1
    link.change("slow", {"delay_s": 30.0})
    many = [b"%d" % number for number in range(50)]
    for data in many:
        client.send(data, front)
    assert await client.stays_silent()
    assert link.stats_as_json()["waiting"] == {"upstream": 50, "downstream": 0}
    link.relieve("slow")
    assert (await client.wait_for(51))[1:] == many


async def test_equal_times_leave_first_in_first_out(link: RelayLink, server: Any, client: Any) -> None:
    front = link.forward(server.address)
    link.impair("slow", "upstream", Delay(0.02))
    link.impair("twice", "upstream", Duplicate(1.0))
    many = [b"%d" % number for number in range(100)]
    for data in many:
        client.send(data, front)
    assert await server.wait_for(200) == [data for data in many for _ in range(2)]


async def test_reordered_packets_arrive_behind_those_that_followed(
    link: RelayLink, server: Any, client: Any
) -> None:
    front = link.forward(server.address)
    link.impair("mixed", "upstream", Reorder(0.3, 0.03))
    many = [b"%02d" % number for number in range(40)]
    for data in many:
        client.send(data, front)
    got = await server.wait_for(40)
    assert sorted(got) == many
    held = [data for data in many if got.index(data) > many.index(data)]
    assert 0 < len(held) < 40
    assert got == [data for data in many if data not in got[-len(held) :]] + got[-len(held) :]


async def test_damaged_packets_arrive_damaged(link: RelayLink, server: Any, client: Any) -> None:
    front = link.forward(server.address)
    link.impair("bad", "upstream", Corruption(1.0))
    client.send(bytes(64), front)
    (data,) = await server.wait_for(1)
    assert len(data) == 64
    assert sum(byte != 0 for byte in data) == 1


async def test_a_narrow_link_lets_through_what_its_rate_allows(
    link: RelayLink, server: Any, client: Any
) -> None:
    front = link.forward(server.address)
    link.impair("narrow", "upstream", Bandwidth(100_000, queue_bytes=5_000))
    began = asyncio.get_running_loop().time()
    for _ in range(20):
        client.send(bytes(1000), front)
    await server.wait_for(5)
    assert asyncio.get_running_loop().time() - began >= 0.05
    await asyncio.sleep(0.05)
    assert 5 <= len(server.got) <= 7, "five wait, one is on its way; the rest is lost"


async def test_rebinding_moves_the_clients_and_kills_the_old_addresses(
    link: RelayLink, server: Any, client: Any
) -> None:
    front = link.forward(server.address)
    client.send(b"before", front)
    await client.wait_for(1)
    old = server.got[0][1]
    assert link.rebind() == 1
    assert port_is_free(old)
    client.send(b"after", front)
    assert await client.wait_for(2) == [b"before", b"after"]
    assert server.got[1][1] != old
    server.send(b"to the old one", old)
    assert await client.stays_silent()
    assert link.rebind("client") == 1
    assert port_is_free(front)


async def test_one_link_is_one_cable_for_all_its_flows(
    link: RelayLink, server: Any, client: Any, stranger: Any
) -> None:
    link.impair("half", "upstream", Loss(0.5))
    fronts = [link.forward(server.address), link.forward(server.address)]
    for _ in range(20):
        client.send(b"x", fronts[0])
        stranger.send(b"y", fronts[1])
    await asyncio.sleep(0.05)
    stats = link.impairment_stats("half")
    assert stats is not None
    assert stats.packets == 40
    assert [record.number for record in link.log.records] == list(range(1, 41))
    assert len(server.got) == 40 - stats.acted


async def test_a_closed_link_leaves_no_socket_and_forgets_what_waits(
    link: RelayLink, server: Any, client: Any
) -> None:
    front = link.forward(server.address)
    client.send(b"x", front)
    await client.wait_for(1)
    (behind,) = link.addresses("server")
    link.impair("slow", "upstream", Delay(0.01))
    client.send(b"late", front)
    await asyncio.sleep(0)
    link.close()
    link.close()
    assert port_is_free(front)
    assert port_is_free(behind)
    assert await server.stays_silent()
    with pytest.raises(ConfigurationError, match="closed"):
        link.open_flow()


async def test_names_are_unique_on_the_link_in_both_directions(link: RelayLink) -> None:
    link.impair("x", "upstream", Loss(0.1))
    with pytest.raises(ConfigurationError, match="already"):
        link.impair("x", "downstream", Loss(0.1))
    with pytest.raises(KeyError):
        link.relieve("y")
    with pytest.raises(KeyError):
        link.change("y", {})
    assert [found.as_json() for found in link.in_force()] == [
        {"name": "x", "type": "loss", "stream": "upstream", "attributes": {"rate": 0.1}}
    ]
