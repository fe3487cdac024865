"""A real TURN server for tests: Debian's coturn on loopback, for TURN over TCP and UDP."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

__all__ = ["Coturn", "coturn"]

USER, PASSWORD, REALM = "rpe", "only-for-tests", "rpe.test"
RELAY_PORTS = 32


@dataclass(frozen=True)
class Coturn:
    """Where it listens, as `host:port`, and who may use it."""

    address: str
    username: str = USER
    password: str = field(default=PASSWORD, repr=False)

    def ice_server(self, address: str = "") -> dict[str, str]:
        """The settings of a client that reaches it over TCP, directly or at another address (a proxy's)."""
        return {
            "urls": f"turn:{address or self.address}?transport=tcp",
            "username": self.username,
            "credential": self.password,
        }


@asynccontextmanager
async def coturn() -> AsyncIterator[Coturn]:
    """Start it, and stop it afterwards; its files are gone then too. Skips where there is none."""
    binary = shutil.which("turnserver")
    if binary is None:
        pytest.skip("there is no turnserver: install coturn: make turn")
    port, first_relay = _free_tcp_port(), _free_udp_ports(RELAY_PORTS)
    with tempfile.TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            binary,
            "-n",  # no configuration file but these arguments
            "--listening-ip=127.0.0.1",
            f"--listening-port={port}",
            "--relay-ip=127.0.0.1",
            f"--min-port={first_relay}",
            f"--max-port={first_relay + RELAY_PORTS - 1}",
            "--relay-threads=1",
            "--no-tls",
            "--no-dtls",
            "--no-cli",
            "--lt-cred-mech",
            f"--user={USER}:{PASSWORD}",
            f"--realm={REALM}",
            "--allow-loopback-peers",
            "--log-file=stdout",
            "--no-stdout-log",
            f"--pidfile={folder}/pid",
            f"--userdb={folder}/users",
            cwd=folder,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await _until_it_answers(process, port)
            yield Coturn(f"127.0.0.1:{port}")
        finally:
            # It takes seconds to stop in good order, and keeps nothing worth that.
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _until_it_answers(process: asyncio.subprocess.Process, port: int) -> None:
    for _ in range(400):
        if process.returncode is not None:
            raise RuntimeError(f"turnserver ended with {process.returncode}")
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.025)
        else:
            writer.close()
            await writer.wait_closed()
            return
    raise RuntimeError("turnserver does not answer")


def _free_tcp_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _free_udp_ports(count: int) -> int:
    """The first of some ports in a row that are free now."""
    for _ in range(100):
        with contextlib.ExitStack() as stack:
            first = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
            first.bind(("127.0.0.1", 0))
            start = int(first.getsockname()[1])
            try:
                for port in range(start + 1, start + count):
                    stack.enter_context(socket.socket(type=socket.SOCK_DGRAM)).bind(("127.0.0.1", port))
            except (OSError, OverflowError):
                continue
            return start
    raise RuntimeError(f"there are no {count} free UDP ports in a row")
