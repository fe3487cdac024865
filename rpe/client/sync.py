"""A facade for scripts that have no event loop: the same client, driven from any thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from rpe.client.reliable import ReliableClient, connect
from rpe.client.session import StreamSession
from rpe.client.statistics import ClientStatistics
from rpe.data import RuntimeData
from rpe.errors import SessionClosed
from rpe.manifest.model import Manifest
from rpe.transport.ports import ChunkResult, ExecutionResult

__all__ = ["SyncClient", "connect_sync"]

T = TypeVar("T")


def connect_sync(endpoints: Sequence[str], **arguments: Any) -> SyncClient:
    """Return a blocking client of a pool; the arguments are those of `rpe.connect`.

    Use it as `with rpe.connect_sync([...]) as client: client.execute(manifest, data)`.
    """
    return SyncClient(endpoints, **arguments)


class SyncClient:
    """A `ReliableClient` on an event loop of its own, in a thread of its own.

    Health checks run between calls. Methods may be called from several threads. Leaving
    the context closes the client and ends the thread, also after an error.
    """

    def __init__(self, endpoints: Sequence[str], **arguments: Any) -> None:
        self._endpoints = endpoints
        self._arguments = arguments
        self._client: ReliableClient | None = None

    def __enter__(self) -> Self:
        # Nothing is started before this, so that a client that is never entered holds nothing.
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rpe sync client", daemon=True)
        self._thread.start()
        try:
            self._client = self._run(self._open())
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._run(self._opened.close())
        finally:
            self._stop()

    def execute(
        self, manifest: Manifest, data: RuntimeData | Mapping[str, RuntimeData], **options: Any
    ) -> ExecutionResult:
        """Run a pipeline once (see `ReliableClient.execute`). KeyboardInterrupt cancels the call."""
        return self._run(self._opened.execute(manifest, data, **options))

    def stream(
        self, manifest: Manifest, chunks: Iterable[RuntimeData], **options: Any
    ) -> Iterator[ChunkResult]:
        """Send chunks through a session and yield the results as they come.

        Chunks are taken from the iterable as the wire takes them; an error of the iterable ends
        the session and is raised here. Ending the iteration early cancels the session.
        """
        session = self._run(self._opened.open_stream(manifest, **options))
        sending = asyncio.run_coroutine_threadsafe(_send_all(session, iter(chunks)), self._loop)
        try:
            while (result := self._run(session.receive())) is not None:
                yield result
            sending.result()
        except SessionClosed:
            sending.result()  # what ended the session is the error of the chunks, if they had one
            raise
        finally:
            sending.cancel()
            self._loop.call_soon_threadsafe(session.cancel)

    def statistics(self) -> ClientStatistics:
        """Return what has been counted, and how each endpoint stands now."""
        return self._opened.statistics()

    @property
    def _opened(self) -> ReliableClient:
        if self._client is None:
            raise RuntimeError("use the client as a context manager: with rpe.connect_sync([...]) as client")
        return self._client

    async def _open(self) -> ReliableClient:
        return await connect(self._endpoints, **self._arguments).__aenter__()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _send_all(session: StreamSession, chunks: Iterator[RuntimeData]) -> None:
    """Send every chunk, taking each one in a thread, since the iterable may block."""
    end = object()
    try:
        while (chunk := await asyncio.to_thread(next, chunks, end)) is not end:
            await session.send(chunk)  # type: ignore[arg-type]
        await session.finish()
    except BaseException:
        session.cancel()
        raise
