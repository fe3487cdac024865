"""A machine with no network but loopback: in a network namespace of its own, peers find each other."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

SCRIPT = """
import asyncio, fcntl, socket, struct

from rpe.data import Text
from rpe.fakes import FakeServer
from rpe.manifest.model import Manifest
from rpe.transport.registry import get_transport

SIOCSIFFLAGS, IFF_UP = 0x8914, 1
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
    fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", IFF_UP, b""))
print(*(name for _, name in socket.if_nameindex()))


async def main(signalling):
    manifest = Manifest.single("echo", node_type="Echo")
    async with FakeServer("a", "webrtc", settings={"signalling": (signalling,)}) as fake:
        client = get_transport("webrtc").create_client(fake.endpoint, {"signalling": signalling})
        result = await client.execute(manifest, {"echo": Text("hello")}, timeout_s=10)
        print(result.output.text)
        await client.close()


for signalling in ("websocket", "grpc"):
    asyncio.run(main(signalling))
"""


def test_peers_open_where_there_is_nothing_but_loopback() -> None:
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rn", "true"], capture_output=True).returncode:
        pytest.skip("no network namespace can be made here: run the tests as root, or allow user namespaces")
    done = subprocess.run(
        [unshare, "-rn", sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    interfaces, *answers = done.stdout.splitlines()
    assert interfaces == "lo"
    assert answers == ["hello", "hello"]
