"""The search finds what is there: a secret that goes to its own server, and each way of leaking one."""

from __future__ import annotations

import base64
import logging
from pathlib import Path
from urllib.parse import quote

import pytest

import rpe
from rpe.data import Text
from rpe.errors import RemoteExecutionFailed
from rpe.hiding import Secrets
from rpe.manifest.model import Manifest
from rpe.transport.registry import get_transport
from tests.support.handlers import Handler
from tests.support.secrets import Planted

ECHO = Manifest.single("echo", node_type="Echo")


@pytest.mark.parametrize("wire", ["grpc", "http", "webrtc"])
async def test_a_secret_is_found_where_its_own_server_gets_it(
    wire: str, secret: str, planted: Planted
) -> None:
    handler = Handler()
    async with (
        get_transport(wire).create_server(handler, {"host": "127.0.0.1", "port": 0}) as server,
        rpe.connect([server.endpoint], transport=wire, token=secret) as client,
    ):
        await client.execute(ECHO, Text("hello"))
    headers = [call.metadata.get("authorization") for call in handler.calls]
    assert f"Bearer {secret}" in headers
    with pytest.raises(pytest.fail.Exception):
        planted.check("what the server got", repr(headers))


def test_it_is_found_in_each_coding_and_when_cut_off(secret: str, planted: Planted) -> None:
    coded = base64.b64encode(secret.encode()).decode()
    for text in (secret, quote(secret, safe=""), coded, secret.encode().hex(), secret[:9], secret[-9:]):
        assert planted.found(f"before {text} after")
    assert planted.found("a text with nothing in it: token, [redacted], Bearer, 127.0.0.1:50051") is None


def test_it_is_found_in_an_error_and_in_what_caused_it(secret: str, planted: Planted) -> None:
    with pytest.raises(pytest.fail.Exception):
        planted.check_error(RemoteExecutionFailed("no", node=secret))
    cause = ValueError(secret)
    error = RemoteExecutionFailed("no")
    error.__cause__ = cause
    with pytest.raises(pytest.fail.Exception):
        planted.check_error(error)
    error.__cause__ = None
    planted.check_error(error)


def test_it_is_found_in_a_file_and_in_a_name(secret: str, planted: Planted, tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "a.log").write_text("nothing")
    assert planted.check_folder(tmp_path) == 1
    (tmp_path / "below" / "a.log").write_text(f"token {secret}")
    with pytest.raises(pytest.fail.Exception):
        planted.check_folder(tmp_path)


def test_what_is_logged_is_searched(secret: str, planted: Planted, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("rpe.anything").debug("sent %s", secret)
    assert planted.found(caplog.text)


def test_hiding_leaves_the_rest_of_a_text(secret: str, planted: Planted) -> None:
    secrets = Secrets([secret, "abc"])
    assert secrets.hide(f"user '{secret}' (abc) at {secret}.") == "user '[redacted]' (abc) at [redacted]."
    assert secrets.hide(f"key {secret[:9]}...") == "key [redacted]..."
    assert secrets.hide("no secret") == "no secret"
    assert planted.found(repr(secrets)) is None


def test_hiding_ends_where_a_secret_is_as_the_mark_itself() -> None:
    assert Secrets(["redacted]12345"]).hide("[redacted] redacted]12345") == "[redacted] [redacted]"
