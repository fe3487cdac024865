"""A narrow link: datagrams leave one after another, from a queue that can be full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rpe.faults.relay.decision import Delivery
from rpe.faults.relay.impairments.base import Draw, Settings, Stage, at_least, setting

__all__ = ["Bandwidth"]


@dataclass(frozen=True, slots=True)
class Bandwidth(Settings):
    """At most `rate_bytes_per_s` leave; what does not fit into a queue of `queue_bytes` is lost.

    The queue is first in, first out, and drops at its tail, as a router's plain queue does.
    The bytes are those of the UDP payload. A datagram larger than the whole queue passes
    where the queue is empty, or nothing would ever pass a small one.
    """

    kind: ClassVar[str] = "bandwidth"
    rank: ClassVar[int] = 4
    rate_bytes_per_s: int = setting(at_least(1))
    queue_bytes: int = setting(at_least(0), 64 * 1024)

    def stage(self) -> Stage[Bandwidth]:
        """Begin with an empty queue. No chance is drawn."""
        return _BandwidthStage(self)


class _BandwidthStage(Stage[Bandwidth]):
    """Holds when the transmitter will be idle; from that follows how much is queued at any moment."""

    __slots__ = ("_idle_at_s",)

    def __init__(self, settings: Bandwidth) -> None:
        super().__init__(settings)
        self._idle_at_s = 0.0

    def pass_on(self, copy: Delivery, size: int, draw: Draw) -> Sequence[Delivery]:
        rate = self.settings.rate_bytes_per_s
        queued_bytes = (self._idle_at_s - copy.at_s) * rate
        if queued_bytes > 0 and queued_bytes + size > self.settings.queue_bytes:
            return ()
        self._idle_at_s = max(self._idle_at_s, copy.at_s) + size / rate
        return (copy._replace(at_s=self._idle_at_s),)
