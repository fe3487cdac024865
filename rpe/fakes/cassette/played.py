"""The journal of a replay: a record per call."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["PlayedCall"]


@dataclass(slots=True)
class PlayedCall:
    """A call that a replay was sent.

    Attributes:
        number: calls are counted from 1.
        name: the method, and the path where there is one; secrets in it are scrubbed.
        began_s: when it came, by the clock of the replay.
        recorded: the number of the recording that answered it; None where there was none.
        by: `content` or `order`, as it was found; where it was not, why.
        requests, answers: how many messages came, and went out.
        ended: how the answer ended, such as `OK`, `complete`, `reset` or `cancelled`; "" while it runs.
        faults: what was spliced in, as it took effect.
        notes: what differed from the recording.
    """

    number: int
    name: str
    began_s: float
    recorded: int | None = None
    by: str = ""
    requests: int = 0
    answers: int = 0
    ended: str = ""
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        found = self.by if self.recorded is None else f"recording {self.recorded} by {self.by}"
        more = "".join(f"; {told}" for told in (*self.faults, *self.notes))
        return f"{self.number} {self.name}: {found}; {self.ended or 'running'}{more}"
