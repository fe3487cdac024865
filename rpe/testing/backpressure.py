"""Whether a caller waits while its server does not read: what the raw server's journal tells of it.

script = {"calls": [{"kind": "stop_reading", "after_messages": 2, "for_s": 0.5}]}
async with RawGrpcServer(script) as server:
    await talk(server.endpoint)
    stall = assert_held(server.journal, at_least_s=0.3)
    assert_bounded(stall, most_bytes=10_000)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from rpe.fakes.journal import Entry, Kind

__all__ = ["Stall", "assert_bounded", "assert_held", "stalls"]

_ENDS = (Kind.SENT, Kind.FAILED, Kind.CANCELLED)


@dataclass(frozen=True)
class Stall:
    """A call whose caller had used up its window while the server did not read.

    Attributes:
        server, call, method: which call it was.
        at_s: when the window was used up, by the clock of the journal.
        held_s: from then until the server read on, or until the call ended; None where neither has come.
        messages: how many messages of the request were read before.
        bytes_before: what the caller could still send after the server had stopped.
        resumed: whether the server has read on.
        burst_bytes: what came in the first tenth of a second after that, before the request was over.
        ended: how the call ended; None where it has not.
        detail: what the journal says of that end.
    """

    server: str
    call: int
    method: str
    at_s: float
    messages: int
    bytes_before: int
    held_s: float | None = None
    resumed: bool = False
    burst_bytes: int = 0
    ended: Kind | None = None
    detail: str = ""

    @property
    def recovered(self) -> bool:
        """Whether the call was answered in good order after it was held."""
        return self.resumed and self.ended is Kind.SENT

    def __str__(self) -> str:
        held = "still held" if self.held_s is None else f"held for {self.held_s:.3f} s"
        after = f"{self.burst_bytes} bytes came at once after it" if self.resumed else "never read on"
        end = f"{self.ended}{': ' if self.detail else ''}{self.detail}" if self.ended else "not over"
        return (
            f"call {self.call} of {self.server} ({self.method}): {held} after {self.messages} messages "
            f"and {self.bytes_before} bytes more; {after}; {end}"
        )


def stalls(journal: Iterable[Entry], method: str = "") -> list[Stall]:
    """Return each time that a caller was held, in order; `method` is how its path ends."""
    found: dict[tuple[str, int], Stall] = {}
    for entry in journal:
        key = (entry.server, entry.call)
        stall = found.get(key)
        if entry.fault == "stalled" and entry.method.endswith(method):
            told = _told(entry)
            found[key] = Stall(
                entry.server, entry.call, entry.method, entry.at_s, int(told["messages"]), int(told["bytes"])
            )
        elif stall is None:
            continue
        elif entry.fault == "resumed":
            found[key] = replace(stall, held_s=float(_told(entry)["held_s"]), resumed=True)
        elif entry.fault == "caught_up":
            found[key] = replace(stall, burst_bytes=int(_told(entry)["bytes"]))
        elif entry.kind in _ENDS:
            held_s = entry.at_s - stall.at_s if stall.held_s is None else stall.held_s
            found[key] = replace(stall, held_s=held_s, ended=entry.kind, detail=entry.detail)
    return list(found.values())


def assert_held(
    journal: Iterable[Entry], method: str = "", *, at_least_s: float = 0.0, recovered: bool | None = None
) -> Stall:
    """Fail unless a caller was held, for so long at least, and return the first time that one was.

    With `recovered`, its call must have been answered in good order after that, or must not have.
    """
    entries = list(journal)
    found = stalls(entries, method)
    if not found:
        raise AssertionError(f"no caller was held: {_why_not(entries, method)}")
    told = "".join(f"\n  {stall}" for stall in found)
    fits = [
        stall
        for stall in found
        if (stall.held_s is None or stall.held_s >= at_least_s)
        and (recovered is None or stall.recovered is recovered)
    ]
    if not fits:
        wanted = f"for {at_least_s:g} s or more" if recovered is None else f"with recovered={recovered}"
        raise AssertionError(f"no caller was held {wanted}; these were held:{told}")
    return fits[0]


def assert_bounded(stall: Stall, most_bytes: int, *, handed_over_bytes: int | None = None) -> None:
    """Fail where the caller had gathered more than so many bytes while it was held.

    `handed_over_bytes` is what your code had given to its client, while it was held, after the
    messages that were read: less what could still be sent, it is what the client kept. Without it,
    what came at once after the server read on is taken for that. It is so where the source makes
    data by itself, as a microphone does; a source that is only let go on then, and is fast, sends
    much at once as well.
    """
    kept_bytes = stall.burst_bytes if handed_over_bytes is None else handed_over_bytes - stall.bytes_before
    if kept_bytes > most_bytes:
        raise AssertionError(
            f"the caller had gathered {kept_bytes} bytes while it was held; {most_bytes} are allowed: {stall}"
        )


def _why_not(entries: list[Entry], method: str) -> str:
    of_method = [entry for entry in entries if entry.method.endswith(method)]
    if stopped := [entry for entry in of_method if entry.fault == "stop_reading"]:
        last = stopped[-1]
        return f"the server stopped ({last.detail}), but call {last.call} did not use its window up"
    calls = len({(entry.server, entry.call) for entry in of_method if entry.kind is Kind.RECEIVED})
    return f"the server never stopped reading; it had {calls} calls of {method or 'any method'}"


def _told(entry: Entry) -> dict[str, str]:
    return dict(part.split("=") for part in entry.detail.split())
