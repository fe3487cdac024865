"""One pipeline on several wires at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.errors import ConfigurationError
from rpe.fakes.behaviour import Behaviour, Health
from rpe.fakes.journal import Entry, Journal
from rpe.fakes.pipelines.brain import PipelineBrain
from rpe.fakes.pipelines.model import PipelineDefinition
from rpe.fakes.server import as_behaviour
from rpe.transport.ports import PipelineServer
from rpe.transport.registry import get_transport

__all__ = ["PipelineFake"]

_GRACE_S = 5.0


class PipelineFake:
    """A pipeline with one brain and one journal behind any number of wires, used as an async context.

        async with PipelineFake(load_pipeline(built_in("echo")), {"grpc": 0, "http": 0}) as fake:
            client = connect(fake.endpoints["http"], transport="http")

    Calls of all wires are counted and drawn for together: the script does not know which wire a
    call came by. What only HTTP can do (the script's part `http`) is done to calls on it alone.

    Arguments:
        definition: what is served.
        ports: the wires and their ports; 0 takes any free one. A wire that is not named is not imported.
        host: where to listen.
        seed: the source of all chance, together with the pipeline's name.
        journal_path: a file that each entry is added to as well, as a line of JSON.
        tls: the certificate chain and the private key, as PEM, for every wire.
        client_root_certificates: PEM; with it, callers need a certificate that these vouch for.
        allow_scripts: follow the script that a call brings, for that call (`rpe.fakes.caller_script`).

    Attributes:
        brain: what answers on every wire.
        journal: what it remembers.
        endpoints: where each wire listens, as `host:port`; empty before the first start.

    Raises ConfigurationError where the script has a part that none of the wires can carry out, or no
    wire is named, and UnknownTransport for a wire that is not there.
    """

    def __init__(
        self,
        definition: PipelineDefinition,
        ports: Mapping[str, int] | None = None,
        *,
        host: str = "127.0.0.1",
        seed: int = 0,
        journal_path: Path | None = None,
        tls: tuple[bytes, bytes] | None = None,
        client_root_certificates: bytes | None = None,
        allow_scripts: bool = False,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._ports = {"grpc": 0} if ports is None else dict(ports)
        if not self._ports:
            raise ConfigurationError("a pipeline needs a wire to be served on", hint='ports={"grpc": 0}')
        self._plugins = {wire: get_transport(wire) for wire in self._ports}
        self._check(definition.behaviour)
        self.journal = Journal(path=journal_path, clock=clock)
        self.brain = PipelineBrain(
            definition,
            seed=seed,
            clock=clock,
            journal=self.journal,
            read_script=partial(as_behaviour, transport=self._most_able) if allow_scripts else None,
        )
        self.endpoints: dict[str, str] = {}
        self._clock = clock
        chain, key = tls or (None, None)
        self._config: dict[str, Any] = {
            "host": host,
            "certificate_chain": chain,
            "private_key": key,
            "client_root_certificates": client_root_certificates,
        }
        self._servers: dict[str, PipelineServer] = {}

    @property
    def name(self) -> str:
        """What the journal calls this server."""
        return self.brain.name

    @property
    def definition(self) -> PipelineDefinition:
        """What new calls are served by."""
        return self.brain.definition

    @property
    def _most_able(self) -> str:
        """The wire whose limits hold for scripts: HTTP can do more than the others."""
        return "http" if "http" in self._ports else next(iter(self._ports))

    async def start(self) -> None:
        """Bind every wire and serve, or none at all. Harmless where it runs.

        Raises ConfigurationError where a port is taken; nothing runs then.
        """
        if self._servers:
            return
        servers: dict[str, PipelineServer] = {}
        try:
            for wire, plugin in self._plugins.items():
                server = plugin.create_server(self.brain, self._settings(wire))
                await server.start()
                servers[wire] = server
        except BaseException:
            await _stop_all(servers, 0.0)
            raise
        self.journal.open()
        self._servers = servers
        self.endpoints = {wire: server.endpoint for wire, server in servers.items()}
        self._ports = {wire: int(where.rpartition(":")[2]) for wire, where in self.endpoints.items()}

    async def stop(self, grace_s: float = 0.0) -> None:
        """Stop, giving running calls `grace_s` seconds. The journal stays readable; its file is closed."""
        await self._halt(grace_s)
        self.journal.close()

    async def restart(self, *, graceful: bool = True, down_s: float = 0.0) -> None:
        """Stop and serve again at the same ports after `down_s` seconds; the journal goes on."""
        await self._halt(_GRACE_S if graceful else 0.0)
        await self._clock.sleep(down_s)
        await self.start()

    async def set_behaviour(self, behaviour: Behaviour | Mapping[str, Any]) -> None:
        """Follow another script from the next call on."""
        self.brain.set_behaviour(self._check(behaviour))

    async def set_health(self, status: Health | str) -> None:
        """Tell health checks something else from now on; whoever watches is told at once.

        It is another script with that `health`: calls count from 0 again. Raises ConfigurationError
        where there is no such status.
        """
        script = self.brain.behaviour.model_dump(exclude_defaults=True) | {"health": status}
        await self.set_behaviour(script)

    def replace(self, definition: PipelineDefinition) -> None:
        """Serve another pipeline at the same ports, nodes and script, from the next call on.

        Calls that run go on as they began. The journal goes on, under the first pipeline's name.
        """
        self._check(definition.behaviour)
        self.brain.replace(definition)

    async def journal_entries(self) -> list[Entry]:
        """Return what the journal has in memory."""
        return self.journal.entries()

    def _check(self, behaviour: Behaviour | Mapping[str, Any]) -> Behaviour:
        return as_behaviour(behaviour, self._most_able)

    def _settings(self, wire: str) -> dict[str, Any]:
        settings = {**self._config, "port": self._ports[wire]}
        return settings | ({"manifest": self.brain.plain_manifest} if wire == "webrtc" else {})

    async def _halt(self, grace_s: float) -> None:
        servers, self._servers = self._servers, {}
        await _stop_all(servers, grace_s)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def __repr__(self) -> str:
        where = ", ".join(f"{wire} {endpoint}" for wire, endpoint in self.endpoints.items())
        return f"<PipelineFake {self.definition.name} at {where or 'no address yet'}>"


async def _stop_all(servers: Mapping[str, PipelineServer], grace_s: float) -> None:
    """Stop all servers, side by side, so that the grace is one for all."""
    async with asyncio.TaskGroup() as group:
        for server in servers.values():
            group.create_task(server.stop(grace_s))
