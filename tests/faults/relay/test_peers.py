"""Two real ICE agents through the relay: nothing goes around it, and its faults reach what they say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from rpe.faults.relay import Relay, Relays
from rpe.faults.relay.impairments import Delay, Duplicate, Loss, Partition
from tests.support.relayed_peers import EchoPeers, RawPeer, server_addresses


@dataclass
class Setting:
    peers: EchoPeers
    relay: Relay
    peer: RawPeer

    def impair(self, settings: Loss | Delay | Duplicate | Partition) -> None:
        for stream in ("upstream", "downstream"):
            self.relay.link.impair(stream, stream, settings)

    def relieve(self) -> None:
        for stream in ("upstream", "downstream"):
            self.relay.link.relieve(stream)

    @property
    def sent(self) -> int:
        return self.relay.link.stats("upstream").sent + self.relay.link.stats("downstream").sent


@pytest.fixture
async def setting() -> AsyncIterator[Setting]:
    relays = Relays(seed=1)
    async with EchoPeers.serve() as peers:
        relay = await relays.open("a", peers.endpoint)
        peer = RawPeer()
        try:
            await peer.connect(relay.listen)
            yield Setting(peers, relay, peer)
        finally:
            await peer.close()
            await relays.close()


async def test_peers_open_through_the_relay_and_nothing_goes_around_it(setting: Setting) -> None:
    link = setting.relay.link
    assert server_addresses(setting.peer.answer) == link.addresses("client")
    assert server_addresses(setting.peers.offers[0]) == link.addresses("server")
    assert len(link.addresses("client")) == len(link.addresses("server")) == 1
    before = setting.sent
    for number in range(10):
        assert await setting.peer.ask(f"message {number}") == f"message {number}"
    assert setting.sent >= before + 20
    # With the relay cut, silence: there is no other way.
    setting.impair(Partition())
    with pytest.raises(TimeoutError):
        await setting.peer.ask("lost", timeout_s=0.3)
    setting.relieve()
    assert await setting.peer.echoes.get() == "lost", "and the channel goes on where it was"


async def test_a_reliable_channel_delivers_everything_at_twenty_percent_loss(setting: Setting) -> None:
    setting.impair(Loss(0.2))
    for number in range(5):
        assert await setting.peer.ask(f"message {number}", timeout_s=30.0) == f"message {number}"
    stats = setting.relay.link.impairment_stats("upstream")
    assert stats is not None
    assert stats.packets >= 10


async def test_latency_adds_twice_its_way_to_a_round_trip(setting: Setting) -> None:
    loop = asyncio.get_running_loop()
    setting.impair(Delay(0.06))
    began = loop.time()
    await setting.peer.ask("slow")
    assert loop.time() - began >= 0.12


async def test_duplicates_are_not_seen_by_the_application(setting: Setting) -> None:
    setting.impair(Duplicate(1.0))
    for number in range(5):
        assert await setting.peer.ask(f"message {number}") == f"message {number}"
    await asyncio.sleep(0.05)
    assert setting.peer.echoes.empty()


async def test_after_a_rebind_the_server_hears_a_peer_that_hears_nothing(setting: Setting) -> None:
    """aiortc's agent keeps answering to the address that it has nominated, which is gone."""
    assert await setting.peer.ask("before") == "before"
    upstream = setting.relay.link.stats("upstream")
    assert setting.relay.link.rebind() == 1
    sent = upstream.sent
    with pytest.raises(TimeoutError):
        await setting.peer.ask("after", timeout_s=0.3)
    assert upstream.sent > sent
    fresh = RawPeer()
    try:
        await fresh.connect(setting.relay.listen)
        assert await fresh.ask("anew") == "anew"
    finally:
        await fresh.close()
