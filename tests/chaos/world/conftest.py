"""The proxy servers that a world is tried with: the embedded one, and a real Toxiproxy where there is one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from rpe.faults.proxy import EmbeddedProxy

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def toxiproxy() -> Iterator[str]:
    """A real Toxiproxy: the one that RPE_TOXIPROXY_URL names, or one that is started for the session."""
    if url := os.environ.get("RPE_TOXIPROXY_URL"):
        yield url.rstrip("/")
        return
    binary = shutil.which(ROOT / ".tools/bin/toxiproxy-server") or shutil.which("toxiproxy-server")
    if binary is None:
        pytest.skip("there is no toxiproxy-server: run `make toxiproxy` (needs Go)")
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    process = subprocess.Popen([binary, "-port", str(port)], stdout=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_it_answers(url)
        yield url
    finally:
        process.kill()
        process.wait()


@pytest.fixture(params=["embedded", pytest.param("toxiproxy", marks=pytest.mark.toxiproxy)])
async def proxy(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """A proxy server that outlives the world, so that what the world leaves behind is seen."""
    if request.param == "toxiproxy":
        yield request.getfixturevalue("toxiproxy")
        return
    async with EmbeddedProxy() as embedded:
        yield embedded.url


def _wait_until_it_answers(url: str) -> None:
    for _ in range(200):
        try:
            urllib.request.urlopen(f"{url}/version", timeout=1).close()
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.02)
    raise AssertionError("the Toxiproxy did not come up")
