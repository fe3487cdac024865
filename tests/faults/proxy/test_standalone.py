"""The proxy as a process: one line, signals, and start-up that fails at once where it must."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rpe.errors import ConfigurationError
from rpe.faults.driver import ToxiproxyDriver
from rpe.faults.proxy import standalone

SCRIPT = "from rpe.faults.proxy.standalone import run; run(port=0, seed=5, loop={loop!r}, config={config!r})"


@contextmanager
def process(loop: str = "asyncio", config: Path | None = None) -> Iterator[tuple[subprocess.Popen[str], str]]:
    code = f"from pathlib import Path, PosixPath\n{SCRIPT.format(loop=loop, config=config)}"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        yield child, child.stdout.readline()
    finally:
        child.kill()
        child.communicate()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_says_where_it_serves_and_ends_on_a_signal(
    loop: str, number: signal.Signals, tmp_path: Path
) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    config = tmp_path / "proxies.json"
    config.write_text('[{"name": "tts", "upstream": "127.0.0.1:1", "listen": "127.0.0.1:0"}]')
    with process(loop, config) as (child, line):
        assert line.endswith("(seed 5)\n")
        (url,) = (word for word in line.split() if word.startswith("http://"))
        async with ToxiproxyDriver(url) as driver:
            assert (await driver.get_proxy("tts")).enabled
        child.send_signal(number)
        assert child.wait(timeout=10) == 0


async def test_a_taken_port_fails_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"127.0.0.1:{port}: bind: address already in use"):
            await standalone.serve(port=port)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "No such file"),
        ("", "EOF"),
        ("{}", "cannot unmarshal object"),
        ('[{"name": "a"}]', "missing required field: upstream at proxy 1"),
        ('[{"name": "a", "upstream": "u:1", "listen": "nonsense"}]', "missing port in address"),
    ],
)
async def test_a_broken_configuration_fails_at_once(text: str | None, message: str, tmp_path: Path) -> None:
    config = tmp_path / "proxies.json"
    if text is not None:
        config.write_text(text)
    with pytest.raises(ConfigurationError, match=message) as caught:
        await standalone.serve(port=0, config=config)
    assert str(config) in str(caught.value)


def test_uvloop_must_be_installed_to_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    with pytest.raises(ConfigurationError, match="uvloop is not installed"):
        standalone.run(port=0, loop="uvloop")
