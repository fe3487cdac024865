"""Bodies that no well-meaning client sends, and addresses in every spelling."""

from __future__ import annotations

import pytest

from rpe.faults.proxy.addresses import Address, AddressError, resolve, split_host_port
from rpe.faults.proxy.failures import ApiError
from rpe.faults.proxy.gojson import read_array, read_object
from rpe.faults.proxy.settings import with_attributes
from rpe.faults.proxy.toxics import KINDS


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"9" * 10_000,
        b"\xff\xfe",
        b'{"name": Infinity}',
        b'{"a" "b"}',
        b"\x00",
    ],
)
def test_hostile_bodies_are_bad_requests(body: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        read_object(body, "Proxy")
    assert caught.value.status == 400
    assert caught.value.message.startswith("bad request body: ")


def test_half_a_surrogate_pair_becomes_a_character_that_can_be_sent_back() -> None:
    name = read_object(b'{"name": "a\\ud800b"}', "Proxy").text("name")
    assert name is not None
    name.encode()


def test_invalid_utf_8_within_a_string_is_replaced() -> None:
    assert read_object(b'{"name": "a\xffb"}', "Proxy").text("name") == "a\ufffdb"


def test_a_number_beyond_all_floats_is_refused() -> None:
    with pytest.raises(ApiError, match="cannot unmarshal number"):
        read_object(b'{"toxicity": 1' + b"0" * 400 + b"}", "Toxic").number("toxicity")


def test_null_items_of_an_array_are_empty_objects() -> None:
    (item,) = read_array(b"[null]", "Proxy")
    assert item.text("name") is None


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"latency": True}, "cannot unmarshal bool"),
        ({"latency": 0.5}, "cannot unmarshal number 0.5"),
        ({"latency": float(2**70)}, "cannot unmarshal number"),
        ({"latency": -1}, "latency must not be negative"),
        ({"latency": -1.0}, "latency must not be negative"),
    ],
)
def test_attributes_that_are_no_whole_numbers(attributes: dict[str, float], message: str) -> None:
    with pytest.raises(ApiError, match=message) as caught:
        with_attributes(KINDS["latency"].defaults, attributes, go_type="LatencyToxic")
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("localhost:80", ("localhost", 80)),
        (":80", ("", 80)),
        ("127.0.0.1:", ("127.0.0.1", 0)),
        ("[::1]:80", ("::1", 80)),
        ("h:http", ("h", 80)),
    ],
)
def test_addresses_that_mean_something(text: str, parts: tuple[str, int]) -> None:
    assert split_host_port(text) == parts


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("host", "missing port"),
        ("", "missing port"),
        ("::1:80", "too many colons"),
        ("[::1", "missing ']'"),
        ("[::1]", "missing port"),
        ("[::1]80", "missing port"),
        ("h:65536", "invalid port"),
        ("h:99999999999999999999", "invalid port"),
        ("h:-1", "unknown port"),
        ("h:no-such-service", "unknown port"),
    ],
)
def test_addresses_that_mean_nothing(text: str, message: str) -> None:
    with pytest.raises(AddressError, match=message):
        split_host_port(text)


async def test_localhost_is_ipv4_and_no_host_is_everywhere() -> None:
    assert await resolve("localhost:1") == Address("127.0.0.1", 1)
    assert await resolve("[::1]:1") == Address("::1", 1)
    for text in ("", ":0", "0.0.0.0:0", "[::]:0"):
        assert str(await resolve(text)) == "[::]:0"
