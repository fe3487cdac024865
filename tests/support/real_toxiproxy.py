"""A real Toxiproxy for tests: the one that RPE_TOXIPROXY_URL names, or one that is started here."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["real_toxiproxy"]

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def real_toxiproxy() -> Iterator[str]:
    """Give the URL of its API, and stop it afterwards if it was started here. Skips where there is none."""
    if url := os.environ.get("RPE_TOXIPROXY_URL"):
        yield url.rstrip("/")
        return
    binary = shutil.which(ROOT / ".tools/bin/toxiproxy-server") or shutil.which("toxiproxy-server")
    if binary is None:
        pytest.skip("there is no toxiproxy-server: run `make toxiproxy` (needs Go)")
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    command = [binary, "-host", "127.0.0.1", "-port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "LOG_LEVEL": "fatal"})
    try:
        _wait_until_it_answers(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=40)


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(400):
        if process.poll() is not None:
            raise RuntimeError(f"toxiproxy-server ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.025)
        else:
            return
    raise RuntimeError("toxiproxy-server does not answer")
