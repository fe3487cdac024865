"""The HTTP API of the embedded proxy and of a real Toxiproxy: one suite for both.

Where they differ, the embedded one is better by design, and each side is asserted for itself.
"""

from __future__ import annotations

import asyncio
import re
import socket
from typing import TYPE_CHECKING

import pytest

from rpe.faults.driver import ProxyControlError

if TYPE_CHECKING:
    from tests.conformance.conftest import Subject

LATENCY = {"name": "slow", "type": "latency", "stream": "upstream", "attributes": {"latency": 100}}


# --- HTTP basics --------------------------------------------------------------------------------------------


async def test_no_proxies_is_an_empty_object(subject: Subject) -> None:
    answer = await subject.http("GET", "/proxies")
    assert (answer.status, answer.text) == (200, "{}")
    assert answer.headers["content-type"] == "application/json"


async def test_version_is_json_and_recent_enough_for_clients_that_look(subject: Subject) -> None:
    answer = await subject.http("GET", "/version")
    assert answer.status == 200
    assert answer.text.endswith("\n")
    assert answer.headers["content-type"].replace(" ", "") == "application/json;charset=utf-8"
    assert await subject.driver.version() == answer.json["version"]
    if subject.embedded:
        assert answer.json == {"version": "2.12.0"}


@pytest.mark.parametrize("path", ["/", "/nothing", "/proxies/", "/Proxies", "/metrics", "/proxies/p/toxics/"])
async def test_an_unknown_path_is_404_in_plain_text(subject: Subject, path: str) -> None:
    answer = await subject.http("GET", path)
    assert answer.status == 404
    assert answer.text.strip() == "404 page not found"
    assert answer.headers["content-type"].startswith("text/plain")
    assert "x-toxiproxy-request-id" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/proxies"),
        ("DELETE", "/proxies"),
        ("HEAD", "/proxies"),
        ("OPTIONS", "/proxies"),
        ("GET", "/reset"),
        ("GET", "/populate"),
        ("POST", "/version"),
        ("PUT", "/proxies/p"),
        ("PATCH", "/proxies/p/toxics"),
    ],
)
async def test_the_wrong_method_is_405_with_an_empty_body(subject: Subject, method: str, path: str) -> None:
    answer = await subject.http(method, path)
    assert (answer.status, answer.text) == (405, "")
    assert "allow" not in answer.headers


async def test_every_routed_answer_carries_a_request_id(subject: Subject) -> None:
    answers = [
        await subject.http("GET", "/proxies"),
        await subject.http("GET", "/proxies/none"),
        await subject.http("GET", "/proxies", User_Agent="Mozilla/5.0"),
    ]
    ids = {answer.headers["x-toxiproxy-request-id"] for answer in answers}
    assert len(ids) == 3
    assert all(re.fullmatch(r"[a-z0-9]{20}", request_id) for request_id in ids)


@pytest.mark.parametrize(
    ("agent", "allowed"), [("Mozilla/5.0", False), ("mozilla/5.0", True), ("x Mozilla/", True)]
)
async def test_browsers_are_refused(subject: Subject, agent: str, allowed: bool) -> None:
    answer = await subject.http("GET", "/version", User_Agent=agent)
    assert answer.status == (200 if allowed else 403)
    if not allowed:
        assert answer.text.strip() == "User agent not allowed"
    unrouted = await subject.http("GET", "/nothing", User_Agent=agent)
    assert unrouted.status == 404


async def test_errors_are_json_with_text_and_status(subject: Subject) -> None:
    answer = await subject.http("GET", "/proxies/none")
    assert answer.status == 404
    assert answer.text == '{"error":"proxy not found","status":404}\n'
    content_type = answer.headers["content-type"]
    assert content_type == ("application/json" if subject.embedded else "text/plain; charset=utf-8")


async def test_a_port_scan_does_no_harm(subject: Subject) -> None:
    host, _, port = subject.url.removeprefix("http://").rpartition(":")
    for _ in range(3):
        socket.create_connection((host, int(port))).close()
    assert await subject.driver.proxies() == {}


async def test_query_strings_and_content_types_do_not_matter(subject: Subject) -> None:
    body = {"name": "p", "upstream": "localhost:1", "listen": "127.0.0.1:0"}
    form = "application/x-www-form-urlencoded"
    assert (await subject.http("POST", "/proxies?x=1", body, Content_Type=form)).status == 201


# --- reading JSON as Go does --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "bad request body: EOF"),
        (b"   ", "bad request body: EOF"),
        (b'{"name":', "bad request body: unexpected EOF"),
        (b'{"name": "p', "bad request body: unexpected EOF"),
        (b"tru", "bad request body: unexpected EOF"),
        (b"nonsense", "bad request body: invalid character 'o'"),
        (b"{'name': 1}", "bad request body: invalid character '\\''"),
        (b'{"name": NaN}', "bad request body: invalid character 'N'"),
        (
            b'{"name":"p","upstream":"u","enabled":"yes"}',
            "bad request body: json: cannot unmarshal string into Go struct field Proxy.enabled of type bool",
        ),
        (
            b'{"name":1,"upstream":"u"}',
            "bad request body: json: cannot unmarshal number into Go struct field Proxy.name of type string",
        ),
        (b"[1]", "bad request body: json: cannot unmarshal array into Go value of type"),
        (b'{"upstream":"u"}', "missing required field: name"),
        (b'{"name":""}', "missing required field: name"),
        (b'{"name":"p"}', "missing required field: upstream"),
        (b'{"name":"p","upstream":""}', "missing required field: upstream"),
        (b"null", "missing required field: name"),
    ],
)
async def test_a_bad_body_is_400(subject: Subject, body: bytes, message: str) -> None:
    answer = await subject.http("POST", "/proxies", body)
    assert answer.status == 400
    if subject.embedded and "character" in message:
        message = "bad request body: invalid character"  # Go words it by what it expected there
    assert answer.json["error"].startswith(message)
    assert await subject.driver.proxies() == {}


@pytest.mark.parametrize(
    "body",
    [
        b'{"NAME":"p","Upstream":"u:1","LISTEN":"127.0.0.1:0"}',
        b'{"name":"p","upstream":"u:1","listen":"127.0.0.1:0","Logger":{},"toxics":[{"type":"x"}],"extra":1}',
        b'{"name":"q","upstream":"u:1","listen":"127.0.0.1:0","name":"p"}',
        b'{"name":"p","upstream":"u:1","listen":"127.0.0.1:0"} trailing { garbage',
        b'{"name":"p","upstream":"u:1","listen":"127.0.0.1:0","enabled":null}',
    ],
    ids=["letter case", "unknown keys", "duplicate keys", "trailing garbage", "null"],
)
async def test_what_go_accepts_is_accepted(subject: Subject, body: bytes) -> None:
    assert (await subject.http("POST", "/proxies", body)).status == 201
    proxy = await subject.driver.get_proxy("p")
    assert proxy.enabled
    assert proxy.toxics == ()


# --- proxies: create ----------------------------------------------------------------------------------------


async def test_create_answers_201_with_the_bound_address(subject: Subject) -> None:
    body = {"name": "p", "listen": "localhost:0", "upstream": "example.test:1"}
    answer = await subject.http("POST", "/proxies", body)
    assert answer.status == 201
    proxy = answer.json
    assert re.fullmatch(r"127\.0\.0\.1:[1-9]\d*", proxy["listen"])
    assert (proxy["name"], proxy["upstream"], proxy["enabled"]) == ("p", "example.test:1", True)
    assert proxy["toxics"] == []
    assert proxy.get("Logger") == (None if subject.embedded else {})
    assert not answer.text.endswith("\n")
    assert (await subject.http("GET", "/proxies/p")).json == proxy
    assert (await subject.http("GET", "/proxies")).json == {"p": proxy}


@pytest.mark.parametrize("listen", [None, "", ":0", "0.0.0.0:0", "[::]:0"])
async def test_no_host_means_all_interfaces(subject: Subject, listen: str | None) -> None:
    body = {"name": "p", "upstream": subject.upstream.address, "listen": listen}
    answer = await subject.http("POST", "/proxies", body)
    assert answer.status == 201
    assert re.fullmatch(r"\[::\]:[1-9]\d*", answer.json["listen"])
    port = int(answer.json["listen"].rpartition(":")[2])
    for host in ("127.0.0.1", "::1"):
        _, writer = await asyncio.open_connection(host, port)
        await subject.upstream.accept()
        writer.close()


async def test_a_disabled_proxy_keeps_its_text_unchecked(subject: Subject) -> None:
    proxy = await subject.driver.create_proxy("p", listen="nonsense", upstream="more nonsense", enabled=False)
    assert (proxy.listen, proxy.upstream, proxy.enabled) == ("nonsense", "more nonsense", False)


async def test_a_taken_name_is_409_before_anything_is_bound(subject: Subject) -> None:
    first = await subject.proxy()
    answer = await subject.http("POST", "/proxies", {"name": "p", "listen": first.listen, "upstream": "u:1"})
    assert (answer.status, answer.json["error"]) == (409, "proxy already exists")


async def test_a_taken_port_is_500_in_gos_words_and_nothing_is_stored(subject: Subject) -> None:
    taken = subject.upstream.address
    with pytest.raises(ProxyControlError) as caught:
        await subject.driver.create_proxy("p", listen=taken.replace("127.0.0.1", "localhost"), upstream="u:1")
    assert caught.value.status == 500
    assert caught.value.server_message == f"listen tcp {taken}: bind: address already in use"
    assert await subject.driver.proxies() == {}


@pytest.mark.parametrize(
    ("listen", "message"),
    [
        ("nonsense", "listen tcp: address nonsense: missing port in address"),
        ("a:b:1", "listen tcp: address a:b:1: too many colons in address"),
        ("127.0.0.1:99999", "listen tcp: address 99999: invalid port"),
        ("192.0.2.1:0", "listen tcp 192.0.2.1:0: bind: cannot assign requested address"),
        ("no-such-host.invalid:0", "listen tcp: lookup no-such-host.invalid"),
    ],
)
async def test_a_bad_listen_address_is_500(subject: Subject, listen: str, message: str) -> None:
    answer = await subject.http("POST", "/proxies", {"name": "p", "listen": listen, "upstream": "u:1"})
    assert answer.status == 500
    assert answer.json["error"].startswith(message)
    assert await subject.driver.proxies() == {}


@pytest.mark.parametrize("name", ["two words", "<&>", "ü ñ 語", "a?b", "c#d", "100%", "a+b", "..."])
async def test_any_name_can_be_used(subject: Subject, name: str) -> None:
    await subject.proxy(name)
    await subject.driver.add_toxic(name, "latency", name=name)
    assert (await subject.driver.get_proxy(name)).toxic(name) is not None
    await subject.driver.remove_toxic(name, name)
    await subject.driver.delete_proxy(name)
    assert await subject.driver.proxies() == {}


@pytest.mark.parametrize("name", ["a/b", "/", ".."])
async def test_names_that_toxiproxy_takes_and_cannot_address(ours: Subject, name: str) -> None:
    await ours.proxy(name)
    assert (await ours.driver.get_proxy(name)).name == name
    await ours.driver.delete_proxy(name)
    assert await ours.driver.proxies() == {}


# --- proxies: delete, not found -----------------------------------------------------------------------------


async def test_delete_frees_the_port(subject: Subject) -> None:
    proxy = await subject.proxy()
    answer = await subject.http("DELETE", "/proxies/p")
    assert (answer.status, answer.text) == (204, "")
    with pytest.raises(ConnectionRefusedError):
        await subject.connect(proxy)
    socket.create_server((proxy.host, proxy.port)).close()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/proxies/none"),
        ("PATCH", "/proxies/none"),
        ("POST", "/proxies/none"),
        ("DELETE", "/proxies/none"),
        ("GET", "/proxies/none/toxics"),
        ("POST", "/proxies/none/toxics"),
        ("GET", "/proxies/none/toxics/t"),
        ("PATCH", "/proxies/none/toxics/t"),
        ("DELETE", "/proxies/none/toxics/t"),
    ],
)
async def test_a_missing_proxy_is_404_whatever_the_body(subject: Subject, method: str, path: str) -> None:
    answer = await subject.http(method, path, b"not json")
    assert (answer.status, answer.json["error"]) == (404, "proxy not found")


@pytest.mark.parametrize("method", ["GET", "PATCH", "POST", "DELETE"])
async def test_a_missing_toxic_is_404_whatever_the_body(subject: Subject, method: str) -> None:
    await subject.proxy()
    answer = await subject.http(method, "/proxies/p/toxics/none", b"{}")
    assert (answer.status, answer.json["error"]) == (404, "toxic not found")


async def test_stats_are_ours_alone(subject: Subject) -> None:
    await subject.proxy()
    stats = await subject.driver.stats()
    assert (None if stats is None else set(stats)) == ({"p"} if subject.embedded else None)
