"""A fake server in this process and on this loop: the one for a test of one's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.errors import ConfigurationError
from rpe.fakes.behaviour import Behaviour, Health, parse_behaviour
from rpe.fakes.brain import Brain
from rpe.fakes.journal import Entry, Journal
from rpe.fakes.nodes import BUILT_IN, NodeFunction
from rpe.transport.ports import PipelineServer
from rpe.transport.registry import get_transport

__all__ = ["FakeServer"]

_GRACE_S = 5.0


class FakeServer:
    """A fake on one wire, used as an async context.

        async with FakeServer(behaviour=Behaviour(latency={"fixed_s": 0.05})) as fake:
            client = connect(fake.endpoint)

    Arguments:
        name: what the journal calls it.
        transport: the name of a registered transport.
        behaviour: the script, also as a mapping; an honest server by default.
        nodes: node types by name; those of `rpe.fakes.nodes` by default.
        host, port: where to listen; port 0 takes any free one.
        seed: the source of all chance, together with the name.
        journal_path: a file that each entry is added to as well, as a line of JSON.
        certificate_chain, private_key: PEM, for TLS; with client_root_certificates, mutual TLS.
        settings: further settings of the transport's server, such as `health: False`.
        allow_scripts: follow the script that a call brings, for that call (`rpe.fakes.caller_script`).
    """

    _make_brain: Callable[..., Brain] = Brain

    def __init__(
        self,
        name: str = "a",
        transport: str = "grpc",
        behaviour: Behaviour | Mapping[str, Any] | None = None,
        *,
        nodes: Mapping[str, NodeFunction] = BUILT_IN,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int = 0,
        journal_path: Path | None = None,
        certificate_chain: bytes | None = None,
        private_key: bytes | None = None,
        client_root_certificates: bytes | None = None,
        settings: Mapping[str, Any] | None = None,
        allow_scripts: bool = False,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.name = name
        self.transport = transport
        self.journal = Journal(path=journal_path, clock=clock)
        script = as_behaviour(behaviour, transport)
        self.brain = self._make_brain(
            script,
            nodes,
            name=name,
            seed=seed,
            clock=clock,
            journal=self.journal,
            read_script=partial(as_behaviour, transport=transport) if allow_scripts else None,
        )
        self._clock = clock
        self._config: dict[str, Any] = {
            "host": host,
            "port": port,
            "certificate_chain": certificate_chain,
            "private_key": private_key,
            "client_root_certificates": client_root_certificates,
            **(settings or {}),
        }
        self._server: PipelineServer | None = None
        self._endpoint = ""

    @property
    def endpoint(self) -> str:
        """Where it listens, as `host:port`; empty before the first start."""
        return self._endpoint

    async def start(self) -> None:
        """Bind and serve. Raises ConfigurationError where the port is taken. Harmless where it runs."""
        if self._server is not None:
            return
        server = get_transport(self.transport).create_server(self.brain, self._config)
        await server.start()
        self.journal.open()
        self._server = server
        self._endpoint = server.endpoint
        self._config["port"] = int(server.endpoint.rpartition(":")[2])

    async def stop(self, grace_s: float = 0.0) -> None:
        """Stop, giving running calls `grace_s` seconds. The journal stays readable; its file is closed."""
        await self._halt(grace_s)
        self.journal.close()

    async def restart(self, *, graceful: bool = True, down_s: float = 0.0) -> None:
        """Stop and serve again at the same port after `down_s` seconds; the journal goes on."""
        await self._halt(_GRACE_S if graceful else 0.0)
        await self._clock.sleep(down_s)
        await self.start()

    async def set_behaviour(self, behaviour: Behaviour | Mapping[str, Any]) -> None:
        """Follow another script from the next call on."""
        self.brain.set_behaviour(as_behaviour(behaviour, self.transport))

    async def set_health(self, status: Health | str) -> None:
        """Tell health checks something else from now on; whoever watches is told at once.

        It is another script with that `health`: calls count from 0 again. Raises ConfigurationError
        where there is no such status.
        """
        script = self.brain.behaviour.model_dump(exclude_defaults=True) | {"health": status}
        self.brain.set_behaviour(parse_behaviour(script))

    async def journal_entries(self) -> list[Entry]:
        """Return what the journal has in memory."""
        return self.journal.entries()

    async def _halt(self, grace_s: float) -> None:
        server, self._server = self._server, None
        if server is not None:
            await server.stop(grace_s)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def __repr__(self) -> str:
        return f"<FakeServer {self.name} ({self.transport}) at {self._endpoint or 'no address yet'}>"


def as_behaviour(behaviour: Behaviour | Mapping[str, Any] | None, transport: str) -> Behaviour:
    """Return a script given in any form.

    Raises ConfigurationError where it cannot be read, or has a part that a server of that
    transport could not carry out.
    """
    if behaviour is None:
        return Behaviour()
    script = behaviour if isinstance(behaviour, Behaviour) else parse_behaviour(behaviour)
    parts = script.http.model_dump(exclude_defaults=True)
    if parts and transport != "http":
        raise ConfigurationError(
            f"{', '.join(f'http.{part}' for part in parts)}: the {transport} transport cannot do that",
            hint="leave the part out, or run the fake on http",
        )
    return script
