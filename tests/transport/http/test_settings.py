"""What an HTTP client can be told, and the addresses that it takes."""

from __future__ import annotations

from typing import Any

import pytest

from rpe.errors import ConfigurationError
from rpe.transport.addresses import is_loopback
from rpe.transport.http.client import HttpPipelineClient
from rpe.transport.http.plugin import plugin
from rpe.transport.http.settings import HttpSettings
from rpe.transport.ports import TlsSettings
from rpe.transport.registry import get_transport

TLS = TlsSettings()


def test_it_is_known_by_its_name() -> None:
    assert get_transport("http") is plugin
    assert (plugin.name, plugin.datagrams) == ("http", False)
    assert plugin.create_client("127.0.0.1:1", {"token": "x"}).endpoint == "127.0.0.1:1"


@pytest.mark.parametrize(
    ("endpoint", "tls", "url"),
    [
        ("host:80", None, "http://host:80"),
        ("host:80", TLS, "https://host:80"),
        ("[::1]:80", None, "http://[::1]:80"),
        ("http://host", None, "http://host"),
        ("http://host:80/", None, "http://host:80"),
        ("https://host/a/b/", None, "https://host/a/b"),
        ("https://host/a", TLS, "https://host/a"),
    ],
)
def test_the_address_of_a_server(endpoint: str, tls: TlsSettings | None, url: str) -> None:
    assert HttpSettings(tls=tls).base_url(endpoint) == url


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        ":80",
        "host:port",
        "host:99999",
        "ftp://host",
        "http://",
        "http://u:s3cret@host",
        "host?a=b",
        "h#f",
    ],
)
def test_what_is_no_address_is_refused(endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match="not an address") as caught:
        HttpPipelineClient(endpoint, HttpSettings())
    assert "s3cret" not in str(caught.value)


def test_an_address_that_contradicts_tls_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="clear text"):
        HttpPipelineClient("http://host", HttpSettings(tls=TLS))


def test_a_token_is_not_sent_in_clear_text_beyond_this_machine() -> None:
    for endpoint in ("10.1.2.3:80", "http://10.1.2.3", "http://127.0.0.1.example.com", "localhost.evil:80"):
        with pytest.raises(ConfigurationError, match="clear text"):
            HttpPipelineClient(endpoint, HttpSettings(token="s3cret"))
    for endpoint in ("localhost:80", "[::1]:80", "http://127.0.0.1/x", "http://[::1]/x", "https://10.1.2.3"):
        HttpSettings(token="s3cret").check_token(endpoint)
    HttpSettings(token="s3cret", tls=TLS).check_token("10.1.2.3:80")
    HttpSettings(token="s3cret", allow_clear_token=True).check_token("10.1.2.3:80")


@pytest.mark.parametrize(
    ("endpoint", "own"),
    [
        ("127.0.0.1:1", True),
        ("127.8.8.8:1", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        ("unix:/run/x", True),
        ("dns:///localhost:1", True),
        ("http://127.0.0.1", True),
        ("https://[::1]/x:1", True),
        ("http://127.0.0.1@10.0.0.1/", False),
        ("http://10.0.0.1/127.0.0.1:1", False),
        ("10.0.0.1:1", False),
        ("example.com:1", False),
    ],
)
def test_which_addresses_are_this_machines(endpoint: str, own: bool) -> None:
    assert is_loopback(endpoint) is own


@pytest.mark.parametrize(
    "settings",
    [
        {"connect_timeout_s": 0},
        {"max_message_bytes": -1},
        {"max_connections": 0},
        {"silence_s": 0},
        {"keepalive_s": -1},
        {"reconnects": -1},
        {"headers": {"x": "a\nb"}},
        {"headers": {"": "a"}},
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        HttpSettings(**settings)


def test_an_unknown_setting_is_named_beside_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="tokn") as caught:
        plugin.validate_config({"tokn": "x"})
    assert "token" in caught.value.hint
    with pytest.raises(ConfigurationError, match="prt") as caught:
        plugin.create_server(None, {"prt": 1})  # type: ignore[arg-type]
    assert "port" in caught.value.hint
