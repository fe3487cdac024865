"""The server's end of a session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from rpe.data import RuntimeData
from rpe.manifest.model import Manifest
from rpe.transport.http.answers import Ending, application_ending, closed_event, error_event, result_events
from rpe.transport.http.inbox import Inbox
from rpe.transport.http.outbox import Outbox
from rpe.transport.serving import ApplicationError, Damage, ReceivedChunk, SessionBroken

__all__ = ["HttpServerSession"]

_LATE_S = 0.5
"""How long an event that is to come late waits for another one to come after."""

_NO_INPUTS: Mapping[str, RuntimeData] = {}


class HttpServerSession:
    """Fills `rpe.transport.serving.ServerSession`: chunks come into its inbox, events go to its outbox.

    `on_ready` is called with the id that the handler gives it. `ending` is the error that it
    ended with, `is_closed` that it ended in good order.
    """

    def __init__(self, manifest: Manifest, on_ready: Callable[[str], None]) -> None:
        self.manifest = manifest
        self.inputs = _NO_INPUTS
        self.inbox = Inbox()
        self.outbox = Outbox()
        self.ending: Ending | None = None
        self.is_closed = False
        self._on_ready = on_ready
        self._late: list[bytes] = []
        self._late_timer: asyncio.TimerHandle | None = None

    async def ready(self, session_id: str, *, chunk_size: int = 0, max_latency_ms: int = 0) -> None:
        """Tell the caller that chunks may come. The wire has no place for the hints."""
        self._on_ready(session_id)

    async def receive(self) -> ReceivedChunk | None:
        """Return the next chunk, None once there are no more (see the port)."""
        item = await self.inbox.get()
        if isinstance(item, ApplicationError):
            await self.send_error(item)
            raise SessionBroken(item.message)
        return item

    async def send(
        self,
        sequence: int,
        outputs: Mapping[str, RuntimeData],
        *,
        processing_ms: float = 0.0,
        damage: Damage | None = None,
    ) -> None:
        """Send one result, an event for each of its outputs, waiting while the wire pushes back.

        The wire has no place for the time that it took.
        """
        events = result_events(sequence, outputs, damage)
        if damage is Damage.LATE:
            self._hold(list(events))
            return
        for data in events:
            await self.outbox.put("", data, damage)
        self._let_late_ones_go()

    async def send_error(self, error: ApplicationError) -> None:
        """Send an error inside the stream."""
        self.fail(application_ending(error))

    async def send_metrics(self, chunks: int, average_latency_ms: float) -> None:
        """Send nothing: the wire has no form for metrics."""

    async def send_raw(self, payload: bytes) -> None:
        """Send bytes in the place of the data of an event."""
        await self.outbox.put("", payload)

    async def closed(self, reason: str = "") -> None:
        """Tell the caller that the session has ended in good order."""
        self._let_late_ones_go()
        self.is_closed = True
        self.outbox.put_now(*closed_event())

    def fail(self, ending: Ending) -> None:
        """Send the error that ends the session, unless another one has."""
        if self.ending is None and not self.is_closed:
            self.ending = ending
            self._let_late_ones_go()
            self.outbox.put_now(*error_event(ending))

    def end(self) -> None:
        """Let everybody go who waits for something of it; what was sent can still be read."""
        self._let_late_ones_go()
        self.inbox.end()
        self.outbox.end()

    def _hold(self, events: list[bytes]) -> None:
        self._late += events
        if self._late_timer is None:
            loop = asyncio.get_running_loop()
            self._late_timer = loop.call_later(_LATE_S, self._let_late_ones_go)

    def _let_late_ones_go(self) -> None:
        if self._late_timer is not None:
            self._late_timer.cancel()
            self._late_timer = None
        events, self._late = self._late, []
        for data in events:
            self.outbox.put_now("", data)
