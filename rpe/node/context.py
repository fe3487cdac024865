"""Where a run of a pipeline stands among those that led to it: how far away, and with how much time left."""

from __future__ import annotations

from dataclasses import dataclass

from rpe.errors import HopLimitExceeded
from rpe.manifest.remote import MAX_HOPS
from rpe.transport.ports import HOPS_KEY

__all__ = ["RunContext"]


@dataclass(frozen=True, slots=True)
class RunContext:
    """What a run inherits from whoever asked for it.

    hops: how many calls from machine to machine lie between here and where the operation began.
    deadline_s: when it must be over, on the runner's clock; None where nobody said.
    operation_id: what the operation is called by whoever began it; empty where it has no name. The
        calls of remote nodes carry it with their node and a number behind it, from machine to machine.
    """

    hops: int = 0
    deadline_s: float | None = None
    operation_id: str = ""

    def onward(self) -> tuple[str, str]:
        """Return the pair of metadata that a call from here to another machine carries.

        Raises HopLimitExceeded where that call would be one too many.
        """
        hops = self.hops + 1
        if hops > MAX_HOPS:
            raise HopLimitExceeded(
                f"this would be call {hops} in a chain of pipelines, and {MAX_HOPS} are possible", hops=hops
            )
        return HOPS_KEY, str(hops)

    def remaining_s(self, now_s: float) -> float | None:
        """The seconds left at `now_s`, not below 0; None where there is no deadline."""
        return None if self.deadline_s is None else max(self.deadline_s - now_s, 0.0)
