"""The world of real sockets: every action is done, read back, undone, and seen by the client or counted.

The same tests run through the embedded proxy and through a real Toxiproxy.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from rpe.chaos.world import wire
from rpe.chaos.world.links import LinkFault
from rpe.chaos.world.wire import WireWorld
from rpe.chaos.world.world import Means
from rpe.clock import SYSTEM_CLOCK
from rpe.errors import ConfigurationError
from rpe.fakes.behaviour import Behaviour, parse_behaviour
from rpe.faults.actions import CutLink, SetBehaviour, SetToxic, Signal
from rpe.faults.driver import ProxyUnreachable, ToxiproxyDriver
from tests.support.raw_grpc import raw

TOXIC = SetToxic("a", "latency", "downstream", {"latency": 150, "jitter": 0})
HONEST = Behaviour()


def refused(endpoint: str) -> bool:
    host, _, port = endpoint.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


async def ask(world: WireWorld, name: str = "a", timeout_s: float = 2.0) -> float:
    """Call a server once through its link, on a connection of its own; return how long it took."""
    began_s = SYSTEM_CLOCK.now()
    async with raw(world.endpoints[name]) as client:
        assert await client.echo("hello", timeout=timeout_s) == "hello"
    return SYSTEM_CLOCK.now() - began_s


async def quickest(world: WireWorld) -> float:
    """The best of a few calls: a busy machine delays one, but a fault delays all."""
    return min([await ask(world) for _ in range(3)])


async def proxies(url: str) -> set[str]:
    async with ToxiproxyDriver(url) as driver:
        return set(await driver.proxies())


async def counts(url: str) -> bool:
    """Whether the proxy server has counters of what its toxics did."""
    async with ToxiproxyDriver(url) as driver:
        return await driver.stats() is not None


async def test_every_server_is_behind_a_proxy_of_its_own_and_all_is_taken_back(proxy: str) -> None:
    async with (
        WireWorld({"a": HONEST, "b": HONEST}, proxy_url=proxy) as world,
        WireWorld({"a": HONEST}, proxy_url=proxy) as other,
    ):
        assert list(world.endpoints) == ["a", "b"]
        assert len(await proxies(proxy)) == 3
        await ask(world, "b")
        await ask(other, "a")
        endpoints = list(world.endpoints.values())
    assert await proxies(proxy) == set()
    assert all(refused(endpoint) for endpoint in endpoints)


async def test_a_toxic_is_in_force_between_apply_and_undo_and_is_counted(proxy: str) -> None:
    async with WireWorld({"a": HONEST}, proxy_url=proxy) as world:
        assert await quickest(world) < 0.15
        assert await world.apply("slow.0", TOXIC)
        assert world.active() == ("slow.0",)
        assert await ask(world) >= 0.15
        await world.undo("slow.0")
        await world.undo("slow.0")
        assert world.active() == ()
        assert await quickest(world) < 0.15
        known = await world.evidence("slow.0")
        assert known is not None
        assert (known.server, len(known.spans)) == ("a", 1)
        assert known.means is (Means.OBSERVED if await counts(proxy) else Means.TRAFFIC)
        assert known.count == known.details.get("chunks", 0)
        assert (known.count > 0) is (known.means is Means.OBSERVED)
        assert await world.evidence("never") is None


async def test_a_toxic_that_met_nothing_counts_nothing() -> None:
    async with WireWorld({"a": HONEST}) as world:
        await world.apply("slow.0", TOXIC)
        await world.undo("slow.0")
        known = await world.evidence("slow.0")
        assert known is not None
        assert known.count == 0


async def test_counters_go_on_over_the_flaps_of_one_action() -> None:
    async with WireWorld({"a": HONEST}) as world:
        counted = []
        for _ in range(3):
            await world.apply("flap.0", TOXIC)
            await ask(world)
            await world.undo("flap.0")
            known = await world.evidence("flap.0")
            assert known is not None
            counted.append(known.count)
            assert len(known.spans) == len(counted)
        assert 0 < counted[0] < counted[1] < counted[2]


async def test_a_cut_link_refuses_until_the_last_cut_is_taken_back(proxy: str) -> None:
    async with WireWorld({"a": HONEST}, proxy_url=proxy) as world:
        async with raw(world.endpoints["a"]) as client:
            await client.echo("hello", timeout=2.0)
            await world.apply("down.0", CutLink("a"))
        await world.apply("again.0", CutLink("a"))
        assert refused(world.endpoints["a"])
        await world.undo("down.0")
        assert refused(world.endpoints["a"])
        await world.undo("again.0")
        await ask(world)
        known = await world.evidence("down.0")
        assert known is not None
        assert known.means is Means.FAILURES
        assert known.count == known.details.get("dropped_connections", 0) == int(await counts(proxy))


async def test_scripts_are_put_on_top_of_each_other_and_given_back(proxy: str) -> None:
    own = parse_behaviour({"latency": {"fixed_s": 0.15}})
    async with WireWorld({"a": own}, proxy_url=proxy) as world:
        assert await quickest(world) < 0.15  # honest, until the run begins
        await world.begin()
        assert await ask(world) >= 0.15
        await world.apply("one.0", SetBehaviour("a", {"latency": {"fixed_s": 0.3}}))
        await world.apply("two.0", SetBehaviour("a", {}))
        assert await quickest(world) < 0.15
        await world.undo("two.0")
        assert await ask(world) >= 0.3
        await world.undo("one.0")
        assert 0.15 <= await quickest(world) < 0.3
        known = await world.evidence("one.0")
        assert known is not None
        assert known.means is Means.SCRIPTED


async def test_the_journal_begins_with_the_run_and_speaks_the_words_of_the_history(proxy: str) -> None:
    async with WireWorld({"a": HONEST, "b": HONEST}, proxy_url=proxy) as world:
        await ask(world, "a")
        await world.begin()
        await ask(world, "b")
        await ask(world, "a")
        lines = await world.journal()
        assert [(line.server, line.kind) for line in lines] == [
            ("b", "received"),
            ("b", "sent"),
            ("a", "received"),
            ("a", "sent"),
        ]
        received, sent = lines[0].fields, lines[1].fields
        assert received["request_hash"] == sent["response_hash"]
        assert "response_hash" not in received
        assert received["call"] == sent["call"]
        assert 1 < received["remaining_s"] <= 2.05  # gRPC rounds a deadline up
        assert [line.at_s for line in lines] == sorted(line.at_s for line in lines)


async def test_what_cannot_be_done_raises(proxy: str) -> None:
    async with WireWorld({"a": HONEST}, proxy_url=proxy) as world:
        with pytest.raises(ConfigurationError, match="no process of its own"):
            await world.apply("dead.0", Signal("a", "kill"))
        with pytest.raises(ConfigurationError, match="nonsense"):
            await world.apply("bad.0", SetBehaviour("a", {"nonsense": 1}))
        with pytest.raises(KeyError):
            await world.apply("who.0", CutLink("nobody"))


async def test_a_toxic_that_is_not_there_as_asked_is_an_error(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def add_nothing(self: Any, *args: Any, **kwargs: Any) -> None: ...

    async with WireWorld({"a": HONEST}, proxy_url=proxy) as world:
        monkeypatch.setattr(ToxiproxyDriver, "add_toxic", add_nothing)
        with pytest.raises(LinkFault, match="not in force"):
            await world.apply("slow.0", TOXIC)
        assert world.active() == ("slow.0",)
        await world.undo("slow.0")
        assert world.active() == ()


async def test_an_unreachable_proxy_is_told_at_once_and_nothing_is_started() -> None:
    began_s = SYSTEM_CLOCK.now()
    with pytest.raises(ProxyUnreachable, match=r"127\.0\.0\.1:9"):
        async with WireWorld({"a": HONEST}, proxy_url="http://127.0.0.1:9"):
            raise AssertionError
    assert SYSTEM_CLOCK.now() - began_s < 2
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_proxy_that_never_answers_is_told_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "CONTROL_TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ProxyUnreachable, match="did not answer"):
            async with WireWorld({"a": HONEST}, proxy_url=url):
                raise AssertionError


@pytest.mark.parametrize("delay_s", [0.0, 0.002, 0.005, 0.01, 0.02, 0.05])
async def test_cancelled_while_it_comes_up_it_takes_everything_back(proxy: str, delay_s: float) -> None:
    async def enter() -> None:
        async with WireWorld({"a": HONEST, "b": HONEST}, proxy_url=proxy):
            await asyncio.sleep(30)

    entering = asyncio.create_task(enter())
    await asyncio.sleep(delay_s)
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    assert await proxies(proxy) == set()
