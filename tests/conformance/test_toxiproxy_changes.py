"""What the API does to existing proxies and toxics: update, populate, reset. One suite for both servers."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from rpe.faults.driver import ProxyControlError

if TYPE_CHECKING:
    from tests.conformance.conftest import Subject

METHODS = pytest.mark.parametrize("method", ["PATCH", "POST"])


def free_address() -> str:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{sock.getsockname()[1]}"


# --- updating a proxy ---------------------------------------------------------------------------------------


@METHODS
async def test_an_update_without_news_leaves_connections_alone(subject: Subject, method: str) -> None:
    proxy = await subject.proxy()
    client, server = await subject.wires(proxy)
    same = {"listen": proxy.listen.replace("127.0.0.1", "localhost"), "upstream": proxy.upstream}
    for body in ({}, same, {"enabled": True}, {"name": "other", "toxics": []}):
        answer = await subject.http(method, "/proxies/p", body)
        assert (answer.status, answer.json["listen"]) == (200, proxy.listen)
        assert answer.json["name"] == "p"
    await client.send(b"still here")
    assert await server.exactly(10) == b"still here"


@METHODS
async def test_disabling_drops_connections_and_enabling_keeps_the_port(subject: Subject, method: str) -> None:
    proxy = await subject.proxy()
    await subject.driver.add_toxic("p", "noop", name="stays")
    client, server = await subject.wires(proxy)
    answer = await subject.http(method, "/proxies/p", {"enabled": False})
    assert (answer.status, answer.json["enabled"], answer.json["listen"]) == (200, False, proxy.listen)
    assert await client.receive() == b""
    assert await server.receive() == b""
    with pytest.raises(ConnectionRefusedError):
        await subject.connect(proxy)
    answer = await subject.http(method, "/proxies/p", {"enabled": True})
    assert (answer.json["enabled"], answer.json["listen"]) == (True, proxy.listen)
    assert [toxic["name"] for toxic in answer.json["toxics"]] == ["stays"]
    await subject.wires(proxy)


async def test_a_new_listen_address_takes_the_old_one_s_place(subject: Subject) -> None:
    proxy = await subject.proxy()
    client, _ = await subject.wires(proxy)
    moved = await subject.driver.update_proxy("p", listen=free_address())
    assert moved.listen != proxy.listen
    assert moved.enabled
    assert await client.receive() == b""
    with pytest.raises(ConnectionRefusedError):
        await subject.connect(proxy)
    await subject.wires(moved)


async def test_a_new_upstream_drops_connections(subject: Subject) -> None:
    proxy = await subject.proxy()
    client, _ = await subject.wires(proxy)
    changed = await subject.driver.update_proxy("p", upstream="elsewhere")
    assert (changed.listen, changed.upstream, changed.enabled) == (proxy.listen, "elsewhere", True)
    assert await client.receive() == b""


async def test_all_interfaces_are_the_same_address_in_every_spelling(subject: Subject) -> None:
    proxy = await subject.driver.create_proxy("p", listen="0.0.0.0:0", upstream=subject.upstream.address)
    client, server = await subject.wires(proxy)
    await subject.driver.update_proxy("p", listen=f"0.0.0.0:{proxy.port}")
    await client.send(b"x")
    # Toxiproxy never finds 0.0.0.0 equal to the [::] it reports, and restarts the proxy.
    assert await server.receive() == (b"x" if subject.embedded else b"")


async def test_an_address_that_means_none_changes_nothing(subject: Subject) -> None:
    proxy = await subject.proxy()
    client, server = await subject.wires(proxy)
    answer = await subject.http("PATCH", "/proxies/p", {"listen": "nonsense", "upstream": "u"})
    assert answer.status == 500
    assert answer.json["error"] == "address nonsense: missing port in address"
    assert await subject.driver.get_proxy("p") == proxy
    await client.send(b"x")
    assert await server.exactly(1) == b"x"


async def test_an_address_that_is_taken_leaves_the_proxy_disabled_with_the_new_values(
    subject: Subject,
) -> None:
    proxy = await subject.proxy()
    taken = subject.upstream.address
    answer = await subject.http("PATCH", "/proxies/p", {"listen": taken, "upstream": "u:1"})
    assert answer.status == 500
    assert answer.json["error"] == f"listen tcp {taken}: bind: address already in use"
    left = await subject.driver.get_proxy("p")
    assert (left.listen, left.upstream, left.enabled) == (taken, "u:1", False)
    mended = await subject.driver.update_proxy("p", listen=proxy.listen, enabled=True)
    assert mended.enabled


# --- toxics -------------------------------------------------------------------------------------------------


async def test_a_toxic_gets_its_defaults(subject: Subject) -> None:
    await subject.proxy()
    answer = await subject.http("POST", "/proxies/p/toxics", {"type": "latency"})
    assert answer.status == 200
    assert answer.json == {
        "attributes": {"latency": 0, "jitter": 0},
        "name": "latency_downstream",
        "type": "latency",
        "stream": "downstream",
        "toxicity": 1,
    }
    assert (await subject.http("GET", "/proxies/p/toxics/latency_downstream")).json == answer.json


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        ("latency", {"latency": 1, "jitter": 2}),
        ("bandwidth", {"rate": 3}),
        ("slow_close", {"delay": 4}),
        ("timeout", {"timeout": 5}),
        ("reset_peer", {"timeout": 6}),
        ("slicer", {"average_size": 9, "size_variation": 8, "delay": 10}),
        ("limit_data", {"bytes": 11}),
        ("noop", {}),
    ],
)
async def test_every_kind_of_toxic_can_be_added(
    subject: Subject, kind: str, attributes: dict[str, int]
) -> None:
    await subject.proxy()
    toxic = await subject.driver.add_toxic("p", kind, stream="upstream", attributes=attributes, toxicity=0.5)
    assert (toxic.kind, toxic.stream, toxic.toxicity) == (kind, "upstream", 0.5)
    assert dict(toxic.attributes) == attributes
    assert await subject.driver.get_toxic("p", f"{kind}_upstream") == toxic


async def test_toxics_are_listed_upstream_first_in_order_of_creation(subject: Subject) -> None:
    await subject.proxy()
    assert (await subject.http("GET", "/proxies/p/toxics")).text == "[]"
    for name, stream in (("d1", "downstream"), ("u1", "upstream"), ("d2", "downstream"), ("u2", "upstream")):
        await subject.driver.add_toxic("p", "noop", name=name, stream=stream)  # type: ignore[arg-type]
    listed = (await subject.http("GET", "/proxies/p/toxics")).json
    assert [toxic["name"] for toxic in listed] == ["u1", "u2", "d1", "d2"]
    assert (await subject.http("GET", "/proxies/p")).json["toxics"] == listed
    answer = await subject.http("DELETE", "/proxies/p/toxics/u1")
    assert (answer.status, answer.text) == (204, "")
    listed = (await subject.http("GET", "/proxies/p/toxics")).json
    assert [toxic["name"] for toxic in listed] == ["u2", "d1", "d2"]


async def test_a_toxic_name_is_taken_in_both_streams(subject: Subject) -> None:
    await subject.proxy()
    await subject.driver.add_toxic("p", "latency", name="t", stream="upstream")
    with pytest.raises(ProxyControlError) as caught:
        await subject.driver.add_toxic("p", "bandwidth", name="t", stream="downstream")
    assert (caught.value.status, caught.value.server_message) == (409, "toxic already exists")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            {"type": "latency", "stream": "sideways"},
            "stream was invalid, can be either upstream or downstream",
        ),
        ({"type": "latency", "stream": ""}, "stream was invalid, can be either upstream or downstream"),
        ({"type": "none", "stream": "sideways"}, "stream was invalid, can be either upstream or downstream"),
        ({"type": "none"}, "invalid toxic type"),
        ({"type": "Latency"}, "invalid toxic type"),
        ({}, "invalid toxic type"),
        ({"type": "latency", "toxicity": "1"}, "bad request body: json: cannot unmarshal string"),
        (
            {"type": "latency", "attributes": {"latency": "100"}},
            "bad request body: json: cannot unmarshal string",
        ),
        (
            {"type": "latency", "attributes": {"latency": 1.5}},
            "bad request body: json: cannot unmarshal number 1.5",
        ),
        (
            {"type": "latency", "attributes": {"latency": 2**63}},
            "bad request body: json: cannot unmarshal number",
        ),
        ({"type": "latency", "attributes": []}, "bad request body: json: cannot unmarshal array"),
    ],
)
async def test_a_wrong_toxic_is_400(subject: Subject, body: dict[str, object], message: str) -> None:
    await subject.proxy()
    answer = await subject.http("POST", "/proxies/p/toxics", body)
    assert answer.status == 400
    assert answer.json["error"].startswith(message)
    assert (await subject.driver.get_proxy("p")).toxics == ()


@pytest.mark.parametrize(
    "body",
    [
        b'{"type":"latency","attributes":null,"toxicity":null,"stream":null,"name":null}',
        b'{"TYPE":"latency","Attributes":{"LATENCY":0,"unknown":1}}',
    ],
)
async def test_nulls_and_unknown_attributes_are_ignored(subject: Subject, body: bytes) -> None:
    await subject.proxy()
    answer = await subject.http("POST", "/proxies/p/toxics", body)
    assert answer.status == 200
    assert answer.json["attributes"] == {"latency": 0, "jitter": 0}


@pytest.mark.parametrize(
    ("sent", "shown"), [(0, "0"), (1.0, "1"), (0.2, "0.2"), (0.123456789, "0.12345679"), (0.5, "0.5")]
)
async def test_toxicity_is_a_single_precision_number(subject: Subject, sent: float, shown: str) -> None:
    await subject.proxy()
    answer = await subject.http("POST", "/proxies/p/toxics", {"type": "latency", "toxicity": sent})
    assert f'"toxicity":{shown}}}' in answer.text


@pytest.mark.parametrize(
    "body",
    [
        {"type": "latency", "attributes": {"latency": -1}},
        {"type": "latency", "toxicity": 2},
        {"type": "latency", "toxicity": -0.5},
        {"type": "slicer"},
        {"type": "slicer", "attributes": {"average_size": 1, "size_variation": 100}},
    ],
)
async def test_nonsense_is_refused_by_ours_alone(subject: Subject, body: dict[str, object]) -> None:
    await subject.proxy()
    answer = await subject.http("POST", "/proxies/p/toxics", body)
    assert answer.status == (400 if subject.embedded else 200)


async def test_whole_numbers_may_be_written_as_floats_with_ours(subject: Subject) -> None:
    await subject.proxy()
    answer = await subject.http(
        "POST", "/proxies/p/toxics", b'{"type":"latency","attributes":{"latency":1e2}}'
    )
    assert answer.status == (200 if subject.embedded else 400)
    if subject.embedded:
        assert '"latency":100,' in answer.text


@METHODS
async def test_an_update_merges_attributes_and_ignores_the_rest(subject: Subject, method: str) -> None:
    await subject.proxy()
    await subject.driver.add_toxic("p", "latency", name="t", attributes={"latency": 10, "jitter": 5})
    body = {"attributes": {"latency": 20}, "name": "x", "type": "bandwidth", "stream": "upstream"}
    answer = await subject.http(method, "/proxies/p/toxics/t", body)
    assert answer.status == 200
    assert answer.json == {
        "attributes": {"latency": 20, "jitter": 5},
        "name": "t",
        "type": "latency",
        "stream": "downstream",
        "toxicity": 1,
    }
    answer = await subject.http(method, "/proxies/p/toxics/t", {"toxicity": 0.5})
    assert (answer.json["toxicity"], answer.json["attributes"]["latency"]) == (0.5, 20)
    for harmless in ({}, {"attributes": None}, {"attributes": {"unknown": 1, "jitter": None}}):
        assert (await subject.http(method, "/proxies/p/toxics/t", harmless)).json == answer.json


async def test_a_failed_update_is_all_or_nothing_with_ours(subject: Subject) -> None:
    await subject.proxy()
    await subject.driver.add_toxic("p", "latency", name="t", attributes={"latency": 10})
    body = {"attributes": {"latency": 555, "jitter": "bad"}, "toxicity": 0.5}
    assert (await subject.http("PATCH", "/proxies/p/toxics/t", body)).status == 400
    toxic = await subject.driver.get_toxic("p", "t")
    assert toxic.toxicity == 1
    assert toxic.attributes["latency"] == (10 if subject.embedded else 555)
