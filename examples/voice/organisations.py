"""The three organisations: each has an authority, a token and two servers of its own."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from rpe.errors import ConfigurationError
from rpe.fakes.certificates import Authority

__all__ = ["Organisation", "Replica", "open_organisations"]

ROOT = Path(__file__).parents[2]
_ENDS_WITHIN_S = 5.0


class Replica:
    """One server in a process of its own."""

    def __init__(self, process: Process, name: str) -> None:
        self.name = name
        self.endpoint = ""
        self._process = process

    async def told(self, config: Mapping[str, object]) -> None:
        """Tell the process what to be, and wait until it serves. Raises ConfigurationError where it ends."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(config).encode() + b"\n")
            await self._process.stdin.drain()
            line = await self._process.stdout.readline()
        except ConnectionError:
            line = b""
        if not line:
            raise ConfigurationError(f"server {self.name} has not come up", hint="its words are above")
        self.endpoint = json.loads(line)["endpoint"]

    async def kill(self) -> None:
        """Kill the process (SIGKILL), whatever it is doing."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    async def end(self) -> None:
        """End the process in good order, or kill it where that takes too long."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(_ENDS_WITHIN_S):
                await self._process.wait()
        finally:
            await self.kill()


class Organisation:
    """Who runs some servers: what they offer, on which wire, whom they let in and who vouches for them."""

    def __init__(self, name: str, transport: str, node_types: Sequence[str]) -> None:
        self.name = name
        self.transport = transport
        self.replicas: list[Replica] = []
        self._node_types = list(node_types)
        self._token = secrets.token_urlsafe(24)
        self._authority = Authority(f"Organisation {name}")
        self.certificate = self._authority.certificate

    @property
    def environment(self) -> dict[str, str]:
        """What the manifest's tokens stand for."""
        return {f"{self.name}_TOKEN": self._token}

    def places(self, folder: Path) -> dict[str, str]:
        """What the other ${...} of the manifest stand for; the authority's certificate is put into a file."""
        file = folder / f"{self.name}.pem"
        file.write_bytes(self.certificate)
        addresses = {f"{self.name}_{i}": replica.endpoint for i, replica in enumerate(self.replicas, 1)}
        return {f"{self.name}_CA": str(file), **addresses}

    async def start(self, number: int) -> None:
        """Start a server, and wait until it serves."""
        issued = self._authority.issue(f"{self.name}-{number}")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "examples.voice.server"), stdin=PIPE, stdout=PIPE, cwd=ROOT
        )
        replica = Replica(process, f"{self.name}-{number}")
        self.replicas.append(replica)
        await replica.told(
            {
                "transport": self.transport,
                "node_types": self._node_types,
                "token": self._token,
                "certificate_chain": issued.chain.decode(),
                "private_key": issued.key.decode(),
            }
        )


@asynccontextmanager
async def open_organisations() -> AsyncIterator[tuple[Organisation, ...]]:
    """Run all servers while inside. Nothing of them is left afterwards."""
    organisations = (
        Organisation("A", "grpc", ["PocketSphinx"]),
        Organisation("B", "http", ["Template"]),
        Organisation("C", "webrtc", ["EspeakNg"]),
    )
    try:
        async with asyncio.TaskGroup() as starting:
            for organisation in organisations:
                for number in (1, 2):
                    starting.create_task(organisation.start(number))
        for organisation in organisations:
            organisation.replicas.sort(key=lambda replica: replica.name)
        yield organisations
    finally:
        ending = [replica.end() for organisation in organisations for replica in organisation.replicas]
        await asyncio.gather(*ending, return_exceptions=True)
