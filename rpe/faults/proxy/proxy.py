"""One named proxy: a listener, the connections through it, and its toxics."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from rpe.faults.actions import Stream
from rpe.faults.proxy.addresses import bind, bound_address, resolve
from rpe.faults.proxy.connection import Connection
from rpe.faults.proxy.failures import ApiError
from rpe.faults.proxy.link import Link
from rpe.faults.proxy.pipe import Pipe
from rpe.faults.proxy.stats import ProxyStats, StreamStats, ToxicStats
from rpe.faults.proxy.toxic import Toxic
from rpe.faults.seeds import derive

__all__ = ["Proxy"]

logger = logging.getLogger(__name__)

ACCEPT_PAUSE_S = 1.0
"""How long no connection is accepted after the process ran out of files or memory."""

_OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Proxy:
    """State and engine of one proxy. Changes of toxics act on all live connections before they return.

    `listen` is the text the proxy was given until it is first started, then the address that
    it is bound to. Connections are numbered in the order of their acceptance; with the root
    seed, the number decides what a toxic draws on a connection.
    """

    def __init__(self, name: str, listen: str, upstream: str, *, seed: int, stats: ProxyStats) -> None:
        self.name = name
        self.listen = listen
        self.upstream = upstream
        self.toxics: dict[str, Toxic] = {}
        self._seed = seed
        self.stats = stats
        self._listener: socket.socket | None = None
        self._accept_again: asyncio.TimerHandle | None = None
        self._connections: dict[Connection, asyncio.Task[None]] = {}
        self._accepted = 0

    @property
    def enabled(self) -> bool:
        """Whether the proxy listens."""
        return self._listener is not None

    async def start(self) -> None:
        """Listen; connections are accepted when this returns. Raises AddressError and stays stopped."""
        listener = bind(await resolve(self.listen))
        self.listen = str(bound_address(listener))
        self._listener = listener
        asyncio.get_running_loop().add_reader(listener, self._accept)

    async def stop(self) -> None:
        """Stop listening and close every connection; returns when all are closed. Toxics stay."""
        self._stop_accepting()
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        tasks = list(self._connections.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- toxics ---------------------------------------------------------------------------------------------

    def toxic(self, name: str) -> Toxic:
        """Return a toxic by name, or raise ApiError 404."""
        if (toxic := self.toxics.get(name)) is None:
            raise ApiError(404, "toxic not found")
        return toxic

    def add_toxic(self, toxic: Toxic) -> None:
        """Append a toxic to its stream."""
        self.toxics[toxic.name] = toxic
        self._toxic_stats(toxic)  # from now on there is a count, if only of nothing
        for pipe in self._pipes(toxic):
            pipe.add(toxic)

    def update_toxic(self, toxic: Toxic) -> None:
        """Give the toxic of the same name its new settings and toxicity."""
        self.toxics[toxic.name] = toxic
        for pipe in self._pipes(toxic):
            pipe.update(toxic)

    def remove_toxic(self, name: str) -> None:
        """Remove a toxic, or raise ApiError 404."""
        toxic = self.toxic(name)
        del self.toxics[name]
        for pipe in self._pipes(toxic):
            pipe.remove(name)

    def remove_all_toxics(self) -> None:
        """Remove every toxic."""
        for name in list(self.toxics):
            self.remove_toxic(name)

    # --- as the API shows it --------------------------------------------------------------------------------

    def toxics_as_json(self) -> list[dict[str, Any]]:
        """Return the toxics, upstream ones first, each stream in the order of creation."""
        ordered = sorted(self.toxics.values(), key=lambda toxic: toxic.stream != "upstream")
        return [toxic.as_json() for toxic in ordered]

    def as_json(self) -> dict[str, Any]:
        """Return the proxy as the API shows it."""
        return {
            "name": self.name,
            "listen": self.listen,
            "upstream": self.upstream,
            "enabled": self.enabled,
            "toxics": self.toxics_as_json(),
        }

    def bytes_so_far(self) -> dict[Stream, StreamStats]:
        """Return the bytes of each stream, those of open connections included."""
        totals = {stream: replace(ended) for stream, ended in self.stats.bytes.items()}
        for connection in self._connections:
            connection.count_into(totals)
        return totals

    def stats_as_json(self) -> dict[str, Any]:
        """Return the counters of the proxy and of every toxic that it ever had."""
        stats = self.stats
        return {
            "connections": {
                "accepted": stats.accepted,
                "open": stats.open,
                "refused_upstream": stats.refused_upstream,
            },
            "bytes": {stream: totals.as_json() for stream, totals in self.bytes_so_far().items()},
            "toxics": {name: toxic.as_json() for name, toxic in stats.toxics.items()},
        }

    # --- the engine -----------------------------------------------------------------------------------------

    def _accept(self) -> None:
        assert self._listener is not None
        for _ in range(128):
            try:
                sock, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _OUT_OF_RESOURCES:
                    raise
                logger.warning("proxy %s accepts nothing for a second: %s", self.name, error)
                self._stop_accepting()
                loop = asyncio.get_running_loop()
                self._accept_again = loop.call_later(ACCEPT_PAUSE_S, self._start_accepting)
                return
            self._serve(sock)

    def _start_accepting(self) -> None:
        self._accept_again = None
        if self._listener is not None:
            asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def _stop_accepting(self) -> None:
        if self._accept_again is not None:
            self._accept_again.cancel()
            self._accept_again = None
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)

    def _serve(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._accepted += 1
        number = self._accepted

        def new_link(toxic: Toxic, pipe: Pipe) -> Link:
            rng = derive(self._seed, self.name, toxic.name, str(number), pipe.stream)
            return Link(toxic, pipe, rng, self._toxic_stats(toxic))

        connection = Connection(self.upstream, self.toxics, self.stats, new_link)
        task = asyncio.get_running_loop().create_task(connection.run(sock))
        self._connections[connection] = task
        task.add_done_callback(lambda done: self._ended(connection, sock, done))

    def _ended(self, connection: Connection, sock: socket.socket, task: asyncio.Task[None]) -> None:
        del self._connections[connection]
        sock.close()  # its transport has done so, unless the task was cancelled before it began
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a connection through proxy %s failed", self.name, exc_info=error)

    def _toxic_stats(self, toxic: Toxic) -> ToxicStats:
        return self.stats.toxic(toxic.name, toxic.kind.name, toxic.stream)

    def _pipes(self, toxic: Toxic) -> Iterator[Pipe]:
        for connection in list(self._connections):
            yield connection.pipe(toxic.stream)
