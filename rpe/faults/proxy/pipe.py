"""One direction of one connection: from the source's socket through the toxics to the sink's socket."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from rpe.faults.actions import Stream
from rpe.faults.proxy.link import Link, discard
from rpe.faults.proxy.stats import StreamStats
from rpe.faults.proxy.toxic import Toxic

if TYPE_CHECKING:
    from rpe.faults.proxy.connection import Connection
    from rpe.faults.proxy.side import Side

__all__ = ["LinkMaker", "Pipe"]

CHUNK_BYTES = 32 * 1024
"""The largest chunk that stages see, which is Toxiproxy's; a read may be larger."""

LinkMaker = Callable[[Toxic, "Pipe"], Link]


class Pipe:
    """Moves bytes, and their end, from `source` to `sink`, in order and through the toxics.

    With no toxic acting, what the source reads goes straight to the write of the sink's
    transport. The source is read only while the sink takes bytes and no stage holds it back.

    `finished`: the end of the source's stream has entered the chain.
    `ended`: it has left the chain, or there is no sink any more; nothing passes from then on.
    """

    def __init__(
        self, connection: Connection, stream: Stream, source: Side, sink: Side, new_link: LinkMaker
    ) -> None:
        self.stream: Stream = stream
        self.source = source
        self.sink = sink
        self.finished = False
        self.ended = False
        self._connection = connection
        self._new_link = new_link
        self._links: list[Link] = []
        self._first_send: Callable[[bytes, float], None] = self._deliver
        self._first_finish: Callable[[], None] = self._end
        # Bytes and their end may come before the other socket is there: uvloop delivers what
        # it has even to a protocol that paused reading when its connection was made.
        self._open = False
        self._early: list[bytes] = []
        self._early_finish = False
        self._shut = False
        self._sink_full = False
        self._holds = 0
        self._staged_in = 0
        self._staged_out = 0
        source.forward = self._early.append

    # --- life -----------------------------------------------------------------------------------------------

    def open(self, toxics: Iterable[Toxic]) -> None:
        """Both sockets are there: let the toxics begin, and what arrived early pass."""
        if self.ended:
            return
        self._open = True
        self._links = [self._new_link(toxic, self) for toxic in toxics]
        self._relink()
        for link in self._links:
            if link.acting:
                link.stage.start()
        for data in self._early:
            self.source.forward(data)
        self._early.clear()
        if self._early_finish:
            self.finish()
        self.balance()

    def finish(self) -> None:
        """The source's stream has ended: pass that on behind the bytes; harmless when repeated."""
        if not self._open:
            self._early_finish = True
        elif not self.finished:
            self.finished = True
            self._first_finish()

    def shut(self) -> None:
        """Take no more from the source."""
        self._shut = True
        self.source.forward = discard
        self.balance()

    def kill(self) -> None:
        """Nobody takes the bytes any more: drop what is held, and all that comes."""
        for link in self._links:
            link.sever()
        self._links = []
        self._shut = self.finished = self.ended = True
        self.source.forward = discard

    def close_at(self, link: Link) -> None:
        """A stage ends the connection: what is behind it in the chain still reaches the sink."""
        if link in self._links:
            behind = self._links.index(link) + 1
            for before in self._links[:behind]:
                before.sever()
            del self._links[:behind]
            self._relink()
            self.finished = False
            self._connection.close()

    def reset(self) -> None:
        """A stage kills the connection."""
        self._connection.reset()

    def count_into(self, stats: StreamStats) -> None:
        """Add this pipe's bytes to `stats`."""
        received = self.source.received_bytes
        stats.received_bytes += received
        stats.sent_bytes += received - self._staged_in + self._staged_out

    # --- toxics on a live connection ------------------------------------------------------------------------

    def add(self, toxic: Toxic) -> None:
        """Append a toxic: earlier stages keep what they hold, and it then passes the new one too."""
        if not self._open or self.ended:
            return
        link = self._new_link(toxic, self)
        self._links.append(link)
        self._relink()
        if link.acting:
            link.stage.start()

    def update(self, toxic: Toxic) -> None:
        """Let a toxic go on with other settings."""
        if (link := self._find(toxic.name)) is not None:
            link.update(toxic)
            self._relink()

    def remove(self, name: str) -> None:
        """Take a toxic out; what its stage holds goes on at once."""
        if (link := self._find(name)) is not None:
            link.remove()
            link.release()
            if link in self._links:
                self._links.remove(link)
            self._relink()

    def _find(self, name: str) -> Link | None:
        return next((link for link in self._links if link.toxic.name == name), None)

    # --- the chain ------------------------------------------------------------------------------------------

    def _relink(self) -> None:
        """Chain the acting links up, and let the source feed the first of them."""
        send: Callable[[bytes, float], None] = self._deliver
        finish: Callable[[], None] = self._end
        for link in reversed(self._links):
            link.send = send
            link.finish = finish
            if link.acting:
                send = link.stage.feed
                finish = link.stage.finish
        self._first_send = send
        self._first_finish = finish
        if not self._shut:
            straight = not any(link.acting for link in self._links)
            self.source.forward = self.sink.write if straight else self._enter

    def _enter(self, data: bytes) -> None:
        arrived_s = time.monotonic()
        self._staged_in += len(data)
        for start in range(0, len(data), CHUNK_BYTES):
            if self._shut:  # a stage has closed the connection over an earlier chunk
                break
            self._first_send(data[start : start + CHUNK_BYTES], arrived_s)

    def _deliver(self, data: bytes, arrived_s: float) -> None:
        self._staged_out += len(data)
        self.sink.write(data)

    def _end(self) -> None:
        if not self.ended:
            self.ended = True
            self._connection.settle()

    # --- flow control ---------------------------------------------------------------------------------------

    def sink_full(self, full: bool) -> None:
        """The sink's transport takes no more for now, or takes bytes again."""
        self._sink_full = full
        self.balance()

    def hold(self) -> None:
        """A stage holds enough."""
        self._holds += 1
        self.balance()

    def release(self) -> None:
        """A stage has room again."""
        self._holds -= 1
        self.balance()

    def balance(self) -> None:
        """Read from the source exactly while there is room for what it may send."""
        self.source.read(self._open and not (self._shut or self._sink_full or self._holds))
