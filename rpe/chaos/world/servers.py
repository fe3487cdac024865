"""The fake servers of a run: started, scripted, signalled and read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rpe.chaos.hashes import joined_hash
from rpe.chaos.shielding import bring_to_end
from rpe.chaos.world.tokens import TokenFiles
from rpe.chaos.world.world import JournalLine
from rpe.clock import Clock
from rpe.errors import ConfigurationError
from rpe.fakes.behaviour import Behaviour, parse_behaviour
from rpe.fakes.certificates import Certificate
from rpe.fakes.handle import FakeHandle
from rpe.fakes.journal import Entry, Kind
from rpe.fakes.server import FakeServer
from rpe.faults.actions import SignalKind

if TYPE_CHECKING:
    from rpe.chaos.world.process import SignalledProcess

__all__ = ["Servers"]

NODE_MODULES = ("rpe.fakes.voice",)
"""What gives the servers of a scenario more node types than every fake has."""


class Servers:
    """The servers by name. Entering starts them, all with honest scripts; leaving stops them.

    Arguments:
        scripts: the script of each server, by name.
        wires: the wire that each of them speaks.
        certificates: the certificate of each that has TLS.
        tokens: is told of the tokens that scripts demand; None where nobody asks.
        processes: those that get a process of their own, and whether a second one is to be kept
            at hand, because what comes back after a kill would weigh on the run if it started cold.
        seed: the root of the chance that they draw.
    """

    def __init__(
        self,
        scripts: Mapping[str, Behaviour],
        *,
        wires: Mapping[str, str],
        certificates: Mapping[str, Certificate],
        tokens: TokenFiles | None,
        processes: Mapping[str, bool],
        seed: int,
        clock: Clock,
    ) -> None:
        # The first script of a list is the server's own; those of faults are put on top of it.
        self._scripts = {name: {"": script} for name, script in scripts.items()}
        self._tokens = tokens
        self._keep_spare = processes
        for module in NODE_MODULES:
            import_module(module)
        tls = {name: _tls(certificates.get(name)) for name in scripts}
        self._processes = _make_processes(processes, wires, tls, seed) if processes else {}
        self._servers: dict[str, FakeHandle] = {
            name: self._processes.get(name) or FakeServer(name, wires[name], seed=seed, **tls[name])
            for name in scripts
        }
        self._clock = clock
        self._began_s = 0.0

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.TaskGroup() as tasks:
                for name, server in self._servers.items():
                    tasks.create_task(server.start(), name=f"start-{name}")
                for name, process in self._processes.items():
                    if self._keep_spare[name]:
                        tasks.create_task(process.prepare(), name=f"prepare-{name}")
        except BaseException:
            await bring_to_end(self._stop())
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    @property
    def addresses(self) -> dict[str, str]:
        """Where each server really listens."""
        return {name: server.endpoint for name, server in self._servers.items()}

    async def begin(self) -> None:
        """Give every server its own script; what was written before is not of this run."""
        for name in self._servers:
            await self._follow(name)
        self._began_s = self._clock.now()

    # --- scripts --------------------------------------------------------------------------------------------

    async def push_script(self, key: str, name: str, script: Mapping[str, Any]) -> None:
        """Let a server follow another script; the latest one that has not been taken back counts."""
        parsed = self._scripts[name][key] = parse_behaviour(script)
        if self._tokens is not None:
            self._tokens.demanded(key, name, parsed.token)
        await self._follow(name)

    async def pop_script(self, key: str, name: str) -> None:
        """Take a script back."""
        self._scripts[name].pop(key, None)
        await self._follow(name)
        if self._tokens is not None:
            self._tokens.no_longer_demanded(key, name)

    async def _follow(self, name: str) -> None:
        *_, latest = self._scripts[name].values()
        await self._servers[name].set_behaviour(latest)

    # --- signals --------------------------------------------------------------------------------------------

    async def signal(self, name: str, what: SignalKind) -> None:
        """Send a signal, and wait until it has been seen to take effect."""
        await self._process(name).signal(what)

    async def revive(self, name: str, what: SignalKind) -> None:
        """Undo a signal: the process runs, and serves at its old address, on return."""
        await self._process(name).revive(what)

    def _process(self, name: str) -> SignalledProcess:
        try:
            return self._processes[name]
        except KeyError:
            raise ConfigurationError(
                f"the server {name!r} has no process of its own to send signals to"
            ) from None

    # --- journals -------------------------------------------------------------------------------------------

    async def journal(self) -> Sequence[JournalLine]:
        """Return what the servers wrote since `begin`, in order of time."""
        lines = [
            _line(name, entry)
            for name, server in self._servers.items()
            for entry in await server.journal_entries()
            if entry.at_s >= self._began_s and entry.kind is not Kind.SCRIPT
        ]
        return sorted(lines, key=lambda line: line.at_s)

    async def _stop(self) -> None:
        problems = await asyncio.gather(
            *(server.stop() for server in self._servers.values()), return_exceptions=True
        )
        for problem in problems:
            if isinstance(problem, BaseException):
                raise problem


def _make_processes(
    names: Iterable[str], wires: Mapping[str, str], tls: Mapping[str, dict[str, Any]], seed: int
) -> dict[str, SignalledProcess]:
    from rpe.chaos.world.process import SignalledProcess

    return {
        name: SignalledProcess(name, wires[name], modules=NODE_MODULES, seed=seed, **tls[name])
        for name in names
    }


def _tls(certificate: Certificate | None) -> dict[str, Any]:
    if certificate is None:
        return {}
    return {"certificate_chain": certificate.chain, "private_key": certificate.key}


def _line(server: str, entry: Entry) -> JournalLine:
    hashed = joined_hash(entry.content)
    came_in = entry.kind in (Kind.RECEIVED, Kind.CHUNK)
    fields: dict[str, Any] = {
        "server": server,
        "op": entry.operation_id or None,
        "attempt": entry.attempt or None,
        "call": entry.call,
        "method": entry.method,
        "request_hash": hashed if came_in else None,
        "response_hash": None if came_in else hashed,
        "remaining_s": entry.remaining_s,
        "seq": entry.sequence,
        "fault": entry.fault or None,
        "detail": entry.detail,
    }
    told = {key: value for key, value in fields.items() if value not in (None, "")}
    return JournalLine(server, str(entry.kind), entry.at_s, told)
