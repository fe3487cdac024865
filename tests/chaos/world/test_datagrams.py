"""The world of a wire with datagrams: faults on the link act on signalling and on what peers send."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from rpe.chaos.world.links import LinkFault, Links
from rpe.chaos.world.wire import WireWorld
from rpe.chaos.world.world import Means
from rpe.clock import SYSTEM_CLOCK
from rpe.data import Text
from rpe.errors import ConfigurationError, RpeError
from rpe.fakes.behaviour import Behaviour
from rpe.faults.actions import Action, CutLink, CutSignalling, Rebind, SetImpairment, SetToxic, Stream
from rpe.faults.relay.link import RelayLink
from rpe.manifest.model import Manifest
from rpe.transport.ports import PipelineClient
from rpe.transport.registry import get_transport

HONEST = Behaviour()
ECHO = Manifest.single("echo", node_type="Echo")
STREAMS: tuple[Stream, ...] = ("upstream", "downstream")


@asynccontextmanager
async def webrtc(**more: Any) -> AsyncIterator[WireWorld]:
    async with WireWorld({"a": HONEST}, transport="webrtc", **more) as world:
        await world.begin()
        yield world


@asynccontextmanager
async def connected(world: WireWorld) -> AsyncIterator[PipelineClient]:
    """A client with a live peer connection to the server."""
    client = get_transport("webrtc").create_client(world.endpoints["a"], {})
    try:
        await ask(client)
        yield client
    finally:
        await client.close()


async def ask(client: PipelineClient, timeout_s: float = 5.0) -> float:
    """Call the server once; return how long that took, in seconds."""
    began_s = SYSTEM_CLOCK.now()
    answer = await client.execute(ECHO, {"echo": Text("hello")}, timeout_s=timeout_s)
    assert answer.output == Text("hello")
    return SYSTEM_CLOCK.now() - began_s


def refused(endpoint: str) -> bool:
    host, _, port = endpoint.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


async def test_everything_goes_through_the_relay_and_is_taken_back() -> None:
    before = asyncio.all_tasks()
    async with webrtc() as world:
        relay = world.datagrams["a"]
        async with connected(world) as client:
            sent = relay.link.stats("upstream").sent
            await ask(client)
            assert relay.link.stats("upstream").sent > sent
            assert relay.signalling is not None
            assert relay.signalling.open == 1
        endpoints = [world.endpoints["a"], relay.listen]
        assert len({*endpoints, relay.upstream}) == 3
    assert all(refused(endpoint) for endpoint in endpoints)
    assert relay.link.addresses("server") == frozenset()
    assert asyncio.all_tasks() == before


async def test_latency_acts_on_datagrams_and_is_counted() -> None:
    async with webrtc() as world, connected(world) as client:
        for stream in STREAMS:
            await world.apply(
                f"slow.{stream}", SetToxic("a", "latency", stream, {"latency": 60, "jitter": 0})
            )
        assert await ask(client) >= 0.12
        for stream in STREAMS:
            await world.undo(f"slow.{stream}")
            known = await world.evidence(f"slow.{stream}")
            assert known is not None
            assert known.means is Means.OBSERVED
            assert known.count >= known.details["delayed"] >= 1
        assert min([await ask(client) for _ in range(3)]) < 0.06
        assert world.datagrams["a"].link.in_force() == ()


@pytest.mark.parametrize(
    "actions",
    [
        [SetToxic("a", "timeout", stream, {"timeout": 0}) for stream in STREAMS],
        [SetToxic("a", "timeout", "downstream", {"timeout": 0})],
        [SetImpairment("a", "loss", "upstream", {"rate": 1.0})],
        [CutLink("a")],
    ],
    ids=["blackhole", "one way", "total loss", "down"],
)
async def test_what_takes_the_link_away_stops_a_live_peer_and_gives_it_back(actions: list[Action]) -> None:
    async with webrtc() as world, connected(world) as client:
        for number, action in enumerate(actions):
            assert await world.apply(f"gone.{number}", action)
        with pytest.raises(RpeError):
            await ask(client, timeout_s=0.3)
        counted = 0
        for number, _ in enumerate(actions):
            await world.undo(f"gone.{number}")
            known = await world.evidence(f"gone.{number}")
            assert known is not None
            counted += known.count
        assert counted > 0
        assert world.active() == ()
        async with connected(world) as fresh:
            await ask(fresh)


async def test_a_cut_link_refuses_until_the_last_cut_is_taken_back() -> None:
    async with webrtc() as world, connected(world):
        await world.apply("one.0", CutLink("a"))
        await world.apply("two.0", CutLink("a"))
        await world.undo("one.0")
        assert refused(world.endpoints["a"])
        assert len(world.datagrams["a"].link.in_force()) == 2
        await world.undo("two.0")
        assert world.datagrams["a"].link.in_force() == ()
        known = await world.evidence("one.0")
        assert known is not None
        assert known.means is Means.FAILURES
        assert known.details["dropped_connections"] == 1


async def test_signalling_goes_down_and_live_peers_go_on() -> None:
    async with webrtc() as world, connected(world) as client:
        await world.apply("unseen.0", CutSignalling("a"))
        assert refused(world.endpoints["a"])
        await ask(client)
        await world.undo("unseen.0")
        async with connected(world) as fresh:
            await ask(fresh)
        known = await world.evidence("unseen.0")
        assert known is not None
        assert (known.means, known.count) == (Means.OBSERVED, 1)


async def test_an_address_change_moves_every_client_and_new_ones_work() -> None:
    async with webrtc() as world, connected(world) as client:
        before = world.datagrams["a"].link.addresses("server")
        await world.apply("moved.0", Rebind("a"))
        after = world.datagrams["a"].link.addresses("server")
        assert len(before) == len(after)
        assert not before & after
        with pytest.raises(RpeError):
            await ask(client, timeout_s=0.2)
        async with connected(world) as fresh:
            await ask(fresh)
        await world.undo("moved.0")
        known = await world.evidence("moved.0")
        assert known is not None
        assert (known.means, known.count) == (Means.OBSERVED, len(before))


async def test_the_same_seed_decides_the_same_for_the_same_packets() -> None:
    async def decisions(seed: int) -> list[str | None]:
        async with webrtc(seed=seed) as world:
            await world.apply("lossy.0", SetImpairment("a", "loss", "upstream", {"rate": 0.5}))
            front = world.datagrams["a"].link.forward(("127.0.0.1", 9))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                for _ in range(64):
                    sock.sendto(b"x", front)
            log = world.datagrams["a"].link.log.records
            for _ in range(200):
                if len(log) == 64:
                    break
                await asyncio.sleep(0.005)
            return [record.dropped_by for record in log]

    first = await decisions(1)
    assert len(first) == 64
    assert 10 < first.count(None) < 54
    assert await decisions(1) == first
    assert await decisions(2) != first


async def test_what_is_not_in_force_as_asked_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async with webrtc() as world:
        monkeypatch.setattr(RelayLink, "impair", lambda *_: None)
        with pytest.raises(LinkFault, match="not in force"):
            await world.apply("lossy.0", SetImpairment("a", "loss", "upstream", {"rate": 0.5}))
        assert world.active() == ("lossy.0",)
        await world.undo("lossy.0")
        assert world.active() == ()


@pytest.mark.parametrize(
    ("transport", "action"),
    [
        ("webrtc", SetToxic("a", "slicer", "upstream", {"average_size": 64})),
        ("webrtc", SetToxic("a", "reset_peer", "upstream", {"timeout": 0})),
        ("grpc", SetImpairment("a", "loss", "upstream", {"rate": 0.5})),
        ("grpc", Rebind("a")),
        ("grpc", CutSignalling("a")),
    ],
)
async def test_what_cannot_act_on_a_wire_is_refused(transport: str, action: Action) -> None:
    async with WireWorld({"a": HONEST}, transport=transport) as world:
        with pytest.raises(ConfigurationError, match=f"cannot act on the transport '{transport}'"):
            await world.apply("x.0", action)
        assert world.active() == ()
        assert await world.evidence("x.0") is None


async def test_where_entering_fails_half_way_the_relay_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = asyncio.all_tasks()
    upstreams: list[str] = []

    async def fail(self: Links, server: str, upstream: str) -> str:
        upstreams.append(upstream)
        assert not refused(upstream), "the relay stands between proxy and server"
        await asyncio.sleep(0.02)  # an accepted socket that nobody has looked at yet would be lost
        raise LinkFault("no", endpoint=server)

    monkeypatch.setattr(Links, "open", fail)
    with pytest.raises(LinkFault):
        async with webrtc():
            raise AssertionError
    assert refused(upstreams[0])
    assert asyncio.all_tasks() == before
