"""The settings of both ends, and the plugin that takes them."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from rpe.errors import ConfigurationError
from rpe.transport.registry import get_transport
from rpe.transport.webrtc.ice import host_addresses
from rpe.transport.webrtc.settings import IceServer, IceSettings, WebrtcServerSettings, WebrtcSettings
from tests.support.handlers import Handler

TURN = {"urls": "turn:127.0.0.1:3478?transport=tcp", "username": "u", "credential": "s3cret"}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"retires": 3}, "no setting retires"),
        ({"signalling": "pigeon"}, "signalling is 'pigeon'"),
        ({"mode": "fancy"}, "mode is 'fancy'"),
        ({"stream_channel": "leaky"}, "stream_channel is 'leaky'"),
        ({"ice_transport_policy": "none"}, "ice_transport_policy is 'none'"),
        ({"connect_timeout_s": 0}, "connect_timeout_s is 0"),
        ({"max_message_bytes": "big"}, "max_message_bytes is 'big'"),
        ({"grace_s": 1.0}, "grace_s is 1.0, and heartbeat_interval_s 1.0"),
        ({"max_retransmits": -1}, "max_retransmits is -1"),
        ({"ice_transport_policy": "relay"}, "no TURN server"),
        ({"ice_servers": "turn:x"}, "ice_servers is no list"),
        ({"ice_servers": [3]}, "neither a URL nor a mapping"),
        ({"ice_servers": [{"url": "turn:x"}]}, "an ICE server has no setting url"),
        ({"ice_servers": ["http://x"]}, "an ICE server needs urls"),
    ],
)
def test_a_wrong_setting_of_a_client_is_named(config: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        get_transport("webrtc").validate_config(config)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"retires": 3}, "no setting retires"),
        ({"signalling": ["pigeon"]}, "signalling is"),
        ({"signalling": []}, "signalling is"),
        ({"max_peers": 0}, "max_peers is 0"),
        ({"manifest": {"version": "v1", "nodes": []}}, "manifest of a server"),
        ({"grace_s": 0.5}, "grace_s is 0.5"),
    ],
)
def test_a_wrong_setting_of_a_server_is_named(config: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        get_transport("webrtc").create_server(Handler(), config)


def test_what_a_file_can_hold_is_read() -> None:
    settings = WebrtcSettings.from_config(
        {
            "ice_servers": [TURN, "stun:127.0.0.1:3478"],
            "host_addresses": ["127.0.0.1"],
            "ice_transport_policy": "relay",
        }
    )
    assert settings.ice_servers == (
        IceServer(("turn:127.0.0.1:3478?transport=tcp",), "u", "s3cret"),
        IceServer(("stun:127.0.0.1:3478",)),
    )
    assert settings.ice.ice_transport_policy == "relay"
    server = WebrtcServerSettings.from_config(
        {"signalling": "grpc", "manifest": {"version": "v1", "nodes": [{"id": "a", "node_type": "Echo"}]}}
    )
    assert server.signalling == ("grpc",)
    assert server.manifest is not None and server.manifest.entry == "a"


def test_secrets_are_not_in_the_text_of_settings() -> None:
    settings = WebrtcSettings.from_config({"token": "s3cret", "ice_servers": [TURN]})
    assert "s3cret" not in f"{settings} {settings.ice}"


def test_a_token_travels_in_the_clear_only_on_this_machine_or_where_it_may() -> None:
    create = get_transport("webrtc").create_client
    for config in ({"token": "s3cret"}, {"token": "s3cret", "mode": "plain"}):
        with pytest.raises(ConfigurationError, match="clear text"):
            create("192.0.2.1:80", config)
        create("127.0.0.1:80", config)
        create("192.0.2.1:80", {**config, "allow_clear_token": True})


def test_host_candidates_are_gathered_where_the_other_side_is() -> None:
    assert host_addresses(IceSettings(), loopback=True) == ("127.0.0.1",)
    assert host_addresses(IceSettings(host_addresses=("::1",)), loopback=True) == ("::1",)
    assert host_addresses(IceSettings(), loopback=False)


def test_the_plugin_imports_nothing_heavy_until_it_is_used() -> None:
    check = (
        "from rpe.transport.webrtc import plugin\n"
        "plugin.validate_config({})\n"
        "import sys\n"
        "print(*[name for name in ('aiortc', 'aiohttp', 'grpc', 'av', 'aioice') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
