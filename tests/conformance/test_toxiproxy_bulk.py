"""Calls that touch many proxies at once: populate and reset. One suite for both servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rpe.faults.driver import ProxyControlError

if TYPE_CHECKING:
    from tests.conformance.conftest import Subject


async def test_populate_creates_what_is_missing(subject: Subject) -> None:
    other = await subject.proxy("other")
    items = [
        {"name": "a", "upstream": "u:1", "listen": "127.0.0.1:0"},
        {"name": "b", "upstream": "u:2", "listen": "127.0.0.1:0", "enabled": False},
    ]
    answer = await subject.http("POST", "/populate", items)
    assert answer.status == 201
    assert [(proxy["name"], proxy["enabled"]) for proxy in answer.json["proxies"]] == [
        ("a", True),
        ("b", False),
    ]
    assert await subject.driver.get_proxy("other") == other
    assert set(await subject.driver.proxies()) == {"a", "b", "other"}


async def test_populate_leaves_the_same_alone_and_replaces_what_differs(subject: Subject) -> None:
    same, differs = await subject.proxy("same"), await subject.proxy("differs")
    for name in ("same", "differs"):
        await subject.driver.add_toxic(name, "noop")
    client, server = await subject.wires(same)
    replaced_client, _ = await subject.wires(differs)
    left, made = await subject.driver.populate(
        [
            {"name": "same", "listen": f"localhost:{same.port}", "upstream": same.upstream, "enabled": False},
            {"name": "differs", "listen": differs.listen, "upstream": "elsewhere:1"},
        ]
    )
    assert (left.enabled, len(left.toxics), left.listen) == (True, 1, same.listen)
    assert (made.upstream, made.toxics, made.listen) == ("elsewhere:1", (), differs.listen)
    assert await replaced_client.receive() == b""
    await client.send(b"x")
    assert await server.exactly(1) == b"x"


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"upstream": "u:1"}, "missing required field: name at proxy 2"),
        ({"name": "b"}, "missing required field: upstream at proxy 2"),
    ],
)
async def test_populate_checks_everything_first(subject: Subject, item: dict[str, str], message: str) -> None:
    good = {"name": "a", "upstream": "u:1", "listen": "127.0.0.1:0"}
    answer = await subject.http("POST", "/populate", [good, item])
    assert (answer.status, answer.json["error"]) == (400, message)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["proxies"] == ([] if subject.embedded else None)
    assert await subject.driver.proxies() == {}


async def test_populate_stops_at_the_first_failure_and_keeps_what_was_done(subject: Subject) -> None:
    taken = subject.upstream.address
    items = [
        {"name": "a", "upstream": "u:1", "listen": "127.0.0.1:0"},
        {"name": "b", "upstream": "u:1", "listen": taken},
        {"name": "c", "upstream": "u:1", "listen": "127.0.0.1:0"},
    ]
    answer = await subject.http("POST", "/populate", items)
    assert (answer.status, answer.json["status"]) == (500, 500)
    assert answer.json["error"] == f"listen tcp {taken}: bind: address already in use"
    assert [proxy["name"] for proxy in answer.json["proxies"]] == ["a"]
    assert set(await subject.driver.proxies()) == {"a"}
    with pytest.raises(ProxyControlError):
        await subject.driver.populate(items)


@pytest.mark.parametrize("body", [b"[]", b"null"])
async def test_populate_with_nothing(subject: Subject, body: bytes) -> None:
    answer = await subject.http("POST", "/populate", body)
    assert answer.status == 201
    assert answer.json == {"proxies": [] if subject.embedded else None}
    assert await subject.driver.populate([]) == ()


@pytest.mark.parametrize(
    ("body", "message"), [(b"", "EOF"), (b"{}", "json: cannot unmarshal object into Go value")]
)
async def test_populate_needs_an_array(subject: Subject, body: bytes, message: str) -> None:
    answer = await subject.http("POST", "/populate", body)
    assert answer.status == 400
    assert answer.json["error"].startswith(f"bad request body: {message}")


async def test_reset_enables_everything_and_removes_every_toxic(subject: Subject) -> None:
    proxy = await subject.proxy("on")
    await subject.driver.add_toxic("on", "latency", attributes={"latency": 10_000})
    await subject.driver.add_toxic("on", "noop", stream="upstream")
    off = await subject.proxy("off")
    await subject.driver.update_proxy("off", enabled=False)
    client, server = await subject.wires(proxy)
    await server.send(b"held")
    answer = await subject.http("POST", "/reset", b"not looked at")
    assert (answer.status, answer.text) == (204, "")
    assert await client.exactly(4) == b"held"
    proxies = await subject.driver.proxies()
    assert all(state.enabled and state.toxics == () for state in proxies.values())
    assert proxies["off"].listen == off.listen
    await client.send(b"x")
    assert await server.exactly(1) == b"x"


async def test_a_reset_that_fails_for_one_proxy(subject: Subject) -> None:
    taken = subject.upstream.address
    await subject.driver.create_proxy("bad", listen=taken, upstream="u:1", enabled=False)
    for name in "abcdefgh":
        await subject.proxy(name)
        await subject.driver.add_toxic(name, "noop")
    with pytest.raises(ProxyControlError) as caught:
        await subject.driver.reset()
    assert caught.value.status == 500
    assert caught.value.server_message == f"listen tcp {taken}: bind: address already in use"
    if subject.embedded:  # Toxiproxy stops at the failure, wherever its random order put it
        proxies = await subject.driver.proxies()
        assert all(state.toxics == () for state in proxies.values())
        assert [name for name, state in proxies.items() if not state.enabled] == ["bad"]
