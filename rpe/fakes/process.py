"""A fake server in a process of its own, so that it can be killed, paused and started again for real."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.errors import ConfigurationError
from rpe.fakes.behaviour import Behaviour
from rpe.fakes.child import Child
from rpe.fakes.journal import Entry, read_entries
from rpe.fakes.server import as_behaviour

__all__ = ["FakeProcess"]

_GRACE_S = 5.0


class FakeProcess:
    """A fake on one wire, in a process of its own, used as an async context.

    It takes the arguments of `FakeServer`, without `nodes`: its own node types come from
    `modules`, names of modules that the process imports first. The journal is kept in a
    file, and read from there: also what a killed process has written is in it.

    The endpoint, the journal and the script outlive the process: after `kill`, `start`
    brings the same fake back at the same port.
    """

    def __init__(
        self,
        name: str = "a",
        transport: str = "grpc",
        behaviour: Behaviour | Mapping[str, Any] | None = None,
        *,
        modules: Sequence[str] = (),
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
        self._behaviour = as_behaviour(behaviour, transport)
        self._given_path = journal_path
        self._path: Path | None = None
        self._entries: list[Entry] = []
        self._clock = clock
        self._config: dict[str, Any] = {
            "name": name,
            "transport": transport,
            "modules": list(modules),
            "host": host,
            "port": port,
            "seed": seed,
            "certificate_chain": _text(certificate_chain),
            "private_key": _text(private_key),
            "client_root_certificates": _text(client_root_certificates),
            "settings": dict(settings or {}),
            "allow_scripts": allow_scripts,
        }
        self._child: Child | None = None
        self._spare: Child | None = None
        self._endpoint = ""

    @property
    def endpoint(self) -> str:
        """Where it listens, as `host:port`; empty before the first start."""
        return self._endpoint

    @property
    def pid(self) -> int | None:
        """The number of its process, None while there is none."""
        return self._child.pid if self._child is not None else None

    async def start(self) -> None:
        """Start the process and wait until it serves. Harmless where it runs.

        Raises ConfigurationError where the process, or its port, cannot be had.
        """
        if self._child is not None and self._child.alive:
            return
        await self._serve(await self._take_spare())

    async def prepare(self) -> None:
        """Keep a second process at hand, so that `restart` and `start` take milliseconds."""
        if self._spare is None:
            self._spare = await Child.spawn(self.name, self.transport)

    async def stop(self) -> None:
        """Stop the process at once, in good order. The journal stays readable. Harmless where none runs."""
        child, self._child = self._child, None
        spare, self._spare = self._spare, None
        try:
            if child is not None:
                await child.stop(0.0)
        finally:
            if spare is not None:
                await spare.kill()
            if self._path is not None and self._given_path is None:
                self._entries = read_entries(self._path)
                self._path.unlink()
                self._path = None

    async def end(self, grace_s: float = _GRACE_S) -> None:
        """End the process in good order, giving running calls `grace_s` seconds; `start` brings it back."""
        child = self._running()
        self._child = None
        await child.stop(grace_s)

    async def kill(self) -> None:
        """Kill the process (SIGKILL): connections break, and nothing listens until `start`."""
        child = self._running()
        self._child = None
        await child.kill()

    def pause(self) -> None:
        """Stop the process where it is (SIGSTOP): connections stay open, and silent."""
        self._running().pause()

    def resume(self) -> None:
        """Let a paused process go on (SIGCONT)."""
        self._running().resume()

    async def restart(self, *, graceful: bool = True, down_s: float = 0.0) -> None:
        """End the process, stay away for `down_s` seconds, and serve again at the same port.

        Graceful lets running calls end first (for 5 s at most), otherwise it is killed. A
        process takes some tenths of a second to come up: for shorter times, `prepare` one.
        Cancelling this leaves no process.
        """
        await (self.end() if graceful else self.kill())
        back_s = self._clock.now() + down_s
        spare = await self._take_spare()
        try:
            await self._clock.sleep_until(back_s)
        except BaseException:
            await spare.kill()
            raise
        await self._serve(spare)

    async def set_behaviour(self, behaviour: Behaviour | Mapping[str, Any]) -> None:
        """Follow another script, from the next call on and after each restart.

        A paused process begins to follow it when it goes on.
        """
        chosen = as_behaviour(behaviour, self.transport)
        if self._child is not None:
            await self._child.command(do="set_behaviour", behaviour=_dumped(chosen))
        self._behaviour = chosen

    async def journal_entries(self) -> list[Entry]:
        """Return everything that its processes have written down."""
        if self._path is None:
            return list(self._entries)
        return await asyncio.to_thread(read_entries, self._path)

    def _running(self) -> Child:
        if self._child is None:
            raise ConfigurationError(f"the fake {self.name!r} does not run", hint="start it first")
        return self._child

    async def _take_spare(self) -> Child:
        spare, self._spare = self._spare, None
        if spare is not None and spare.alive:
            return spare
        return await Child.spawn(self.name, self.transport)

    async def _serve(self, child: Child) -> None:
        path = self._path or self._given_path or _temporary_file()
        config = {**self._config, "behaviour": _dumped(self._behaviour), "journal_path": str(path)}
        try:
            self._endpoint = await child.serve(config)
        except BaseException:
            if self._path is None and self._given_path is None:
                path.unlink()
            raise
        self._path = path
        self._config["port"] = int(self._endpoint.rpartition(":")[2])
        self._child = child

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def __repr__(self) -> str:
        return f"<FakeProcess {self.name} ({self.transport}) at {self._endpoint or 'no address yet'}>"


def _dumped(behaviour: Behaviour) -> dict[str, Any]:
    return behaviour.model_dump(mode="json", exclude_defaults=True)


def _text(pem: bytes | None) -> str | None:
    return None if pem is None else pem.decode()


def _temporary_file() -> Path:
    file, path = tempfile.mkstemp(prefix="rpe-fake-", suffix=".jsonl")
    os.close(file)
    return Path(path)
