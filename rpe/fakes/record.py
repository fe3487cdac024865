"""One call as the journal tells it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rpe.clock import Clock, speed_of
from rpe.data import RuntimeData, content_hash
from rpe.fakes.journal import Entry, Journal, Kind
from rpe.transport.serving import ApplicationError, ConnectionCut, Refusal, ServerCall, SessionBroken

__all__ = ["CallRecord"]


class CallRecord:
    """Writes what becomes of one call: that it came, what happened in it, and exactly one end."""

    __slots__ = (
        "_arrived_s",
        "_call",
        "_clock",
        "_ended",
        "_hashed",
        "_journal",
        "_left_s",
        "_server",
        "number",
    )

    def __init__(self, journal: Journal, clock: Clock, server: str, number: int, call: ServerCall) -> None:
        self.number = number
        self._journal = journal
        self._clock = clock
        self._server = server
        self._call = call
        self._arrived_s = clock.now()
        self._ended = False
        self._hashed: tuple[RuntimeData, str] | None = None
        # The caller counts in real seconds; everything here is told in those of the fake's clock.
        left_s = call.remaining_s
        self._left_s = None if left_s is None else left_s * speed_of(clock)

    def hashes(self, data: Mapping[str, RuntimeData]) -> dict[str, str]:
        """Return the content hash of each piece of data, by its name.

        The very piece that was hashed last is not hashed again: data never change, and many a node
        gives back what came.
        """
        found: dict[str, str] = {}
        for name, value in data.items():
            if self._hashed is None or self._hashed[0] is not value:
                self._hashed = (value, content_hash(value))
            found[name] = self._hashed[1]
        return found

    def write(
        self,
        kind: Kind,
        *,
        sequence: int | None = None,
        content: Mapping[str, str] | None = None,
        fault: str = "",
        detail: str = "",
    ) -> None:
        """Add an entry for this call."""
        now = self._clock.now()
        call = self._call
        remaining_s = None if self._left_s is None else self._left_s - (now - self._arrived_s)
        self._ended = self._ended or kind in (Kind.SENT, Kind.FAILED, Kind.CANCELLED)
        self._journal.append(
            Entry(
                kind=kind,
                at_s=now,
                server=self._server,
                call=self.number,
                method=call.method,
                operation_id=call.operation_id,
                attempt=call.attempt,
                remaining_s=remaining_s,
                sequence=sequence,
                content=content or {},
                fault=fault,
                detail=detail,
            )
        )

    def fault(self, name: str, detail: str = "", *, sequence: int | None = None) -> None:
        """Write that a part of the script takes effect."""
        self.write(Kind.FAULT, fault=name, detail=detail, sequence=sequence)

    def failed(self, error: ApplicationError) -> None:
        """Write that the call ends with an error of the pipeline."""
        node = f" in {error.node_id}" if error.node_id else ""
        self.write(Kind.FAILED, detail=f"{error.error_type}{node}: {error.message}")

    @contextmanager
    def kept(self, content: Mapping[str, str] | None = None) -> Iterator[None]:
        """Write that the call has come, and, on the way out, how it ended where nobody has yet."""
        self.write(Kind.RECEIVED, content=content)
        try:
            yield
        except Refusal as refusal:
            self._end(Kind.FAILED, f"{refusal.status}: {refusal.message}")
            raise
        except ConnectionCut:
            self._end(Kind.FAILED, "the connection was cut")
            raise
        except SessionBroken as error:
            self._end(Kind.FAILED, f"the caller broke the session: {error}")
            raise
        except asyncio.CancelledError:
            self._end(Kind.CANCELLED, "deadline" if self._is_late() else "cancelled")
            raise
        except Exception as error:
            self._end(Kind.FAILED, f"{type(error).__name__}: {error}")
            raise

    def _end(self, kind: Kind, detail: str) -> None:
        if not self._ended:
            self.write(kind, detail=detail)

    def _is_late(self) -> bool:
        # The caller's own timer may fire a moment before ours would.
        margin_s = 0.02 * speed_of(self._clock)
        return self._left_s is not None and self._clock.now() - self._arrived_s >= self._left_s - margin_s
