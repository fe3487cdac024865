"""The control API: relays and impairments over HTTP, as the proxy has proxies and toxics."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from rpe.errors import ConfigurationError
from rpe.faults.relay import EmbeddedRelay


class Control:
    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with self._session.request(method, path, json=body) as response:
            text = await response.text()
            return response.status, json.loads(text) if text else None


@pytest.fixture
async def control() -> AsyncIterator[Control]:
    async with EmbeddedRelay(seed=5) as server, aiohttp.ClientSession(server.url) as session:
        yield Control(session)


async def test_a_relay_before_a_udp_server_from_creation_to_deletion(
    control: Control, server: Any, client: Any
) -> None:
    upstream = "{}:{}".format(*server.address)
    assert await control("GET", "/version") == (200, {"version": "1", "seed": 5})
    status, relay = await control(
        "POST", "/relays", {"name": "turn", "via": "datagrams", "upstream": upstream}
    )
    assert status == 201
    assert relay == {
        "name": "turn",
        "via": "datagrams",
        "listen": relay["listen"],
        "upstream": upstream,
        "impairments": [],
    }
    assert await control("GET", "/relays") == (200, {"turn": relay})
    host, port = relay["listen"].split(":")
    status, loss = await control(
        "POST", "/relays/turn/impairments", {"type": "loss", "attributes": {"rate": 1}, "stream": "upstream"}
    )
    assert (status, loss["name"]) == (200, "loss_upstream")
    client.send(b"x", (host, int(port)))
    assert await client.stays_silent()
    status, changed = await control(
        "PATCH", "/relays/turn/impairments/loss_upstream", {"attributes": {"rate": 0.0}}
    )
    assert (status, changed["attributes"]) == (200, {"rate": 0.0})
    client.send(b"y", (host, int(port)))
    assert await client.wait_for(1) == [b"y"]
    _, draws = await control("GET", "/relays/turn/draws")
    assert [record["dropped_by"] for record in draws] == ["loss_upstream", None]
    assert (await control("GET", "/relays/turn/draws?last=1"))[1] == draws[1:]
    _, stats = await control("GET", "/relays/turn/stats")
    assert stats["impairments"]["loss_upstream"]["dropped"] == 1
    assert stats["packets"]["upstream"]["received_packets"] == 2
    assert await control("POST", "/relays/turn/rebind") == (200, {"sockets": 1})
    assert await control("POST", "/relays/turn/rebind", {"side": "client"}) == (200, {"sockets": 1})
    assert (await control("GET", "/relays/turn/impairments"))[1] == [changed]
    assert await control("DELETE", "/relays/turn/impairments/loss_upstream") == (204, None)
    assert (await control("GET", "/relays/turn/impairments/loss_upstream"))[0] == 404
    assert await control("DELETE", "/relays/turn") == (204, None)
    assert await control("GET", "/relays/turn") == (404, {"error": "relay not found", "status": 404})


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("POST", "/relays", {"name": "x"}, 400, "upstream"),
        ("POST", "/relays", {"upstream": "127.0.0.1:1"}, 400, "name"),
        ("POST", "/relays", {"name": "x", "upstream": "nowhere"}, 400, "missing port"),
        ("POST", "/relays", {"name": "x", "upstream": "127.0.0.1:1", "via": "smoke"}, 400, "via is one of"),
        ("POST", "/relays", {"name": "s", "upstream": "127.0.0.1:1"}, 409, "exists"),
        ("POST", "/relays", [], 400, "cannot unmarshal"),
        ("DELETE", "/relays/none", None, 404, "relay not found"),
        ("POST", "/relays/s/impairments", {"type": "fog"}, 400, "one of"),
        ("POST", "/relays/s/impairments", {"type": "loss"}, 400, "rate"),
        (
            "POST",
            "/relays/s/impairments",
            {"type": "loss", "attributes": {"rate": 2}},
            400,
            "between 0 and 1",
        ),
        ("POST", "/relays/s/impairments", {"type": "partition", "stream": "x"}, 400, "stream is one of"),
        ("POST", "/relays/s/impairments", {"type": "partition", "name": "taken"}, 409, "exists"),
        ("PATCH", "/relays/s/impairments/taken", {"attributes": {"rate": 1}}, 400, "no setting"),
        ("PATCH", "/relays/s/impairments/none", {}, 404, "impairment not found"),
        ("POST", "/relays/s/rebind", {"side": "both"}, 400, "side is one of"),
        ("GET", "/relays/s/draws?last=x", None, 400, "whole number"),
    ],
)
async def test_what_makes_no_sense_is_refused_in_words(
    control: Control, method: str, path: str, body: Any, status: int, message: str
) -> None:
    await control("POST", "/relays", {"name": "s", "upstream": "127.0.0.1:1"})
    await control("POST", "/relays/s/impairments", {"type": "partition", "name": "taken"})
    before = await control("GET", "/relays")
    found, answer = await control(method, path, body)
    assert found == status
    assert message in answer["error"]
    assert await control("GET", "/relays") == before, "nothing was changed"


async def test_a_browser_is_refused(control: Control) -> None:
    async with control._session.get("/relays", headers={"User-Agent": "Mozilla/5.0"}) as response:
        assert response.status == 403


async def test_draws_are_written_and_can_be_repeated(tmp_path: Path, server: Any, client: Any) -> None:
    path = tmp_path / "draws.jsonl"

    async def lost(**settings: Any) -> list[str | None]:
        async with EmbeddedRelay(**settings) as embedded:
            relay = await embedded.relays.open("a", "{}:{}".format(*server.address), via="datagrams")
            status = aiohttp.ClientSession(embedded.url)
            async with status as session:
                body = {"type": "loss", "attributes": {"rate": 0.5}}
                await Control(session)("POST", "/relays/a/impairments", body)
            host, port = relay.listen.split(":")
            for number in range(40):
                client.send(b"%d" % number, (host, int(port)))
            while relay.link.stats("upstream").received < 40:
                assert await client.stays_silent(0.01) in (True, False)
            return [record.dropped_by for record in relay.link.log.records if record.stream == "upstream"]

    first = await lost(seed=1, draws=path)
    assert 5 < first.count(None) < 35
    assert len(path.read_text().splitlines()) == 40
    assert await lost(seed=2, replay=path) == first
    assert await lost(seed=2) != first


async def test_a_taken_port_and_a_bad_file_are_told_at_once(tmp_path: Path) -> None:
    async with EmbeddedRelay() as server:
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(ConfigurationError, match="cannot start"):
            await EmbeddedRelay(port=port).start()
        with pytest.raises(ConfigurationError, match="running already"):
            await server.start()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        await EmbeddedRelay(replay=tmp_path / "none").start()
    with pytest.raises(ConfigurationError, match="cannot be written"):
        await EmbeddedRelay(draws=tmp_path / "none" / "draws").start()
    with pytest.raises(ConfigurationError, match="not running"):
        _ = server.url
