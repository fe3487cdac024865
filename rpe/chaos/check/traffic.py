"""What really went over the wire: attempts and executions, told by the subject and by the servers.

Neither side sees everything: the servers never see an attempt that could not connect, and
a client does not tell of retries that a layer below it made. Of each operation and
endpoint the larger of the two counts is taken, so that no attempt is counted twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from rpe.chaos.history import History
from rpe.chaos.records import ServerEvent

__all__ = ["SeenAttempt", "ServedCall", "computed_chunks", "executions", "seen_attempts", "served_calls"]

RECEIVED = "received"
"""The journal's word for a call that came in: it begins every call."""


@dataclass(slots=True)
class ServedCall:
    """One call as the journal of its server tells it; `op` is None where the server was not told.

    `response_hash` is what the server computed, `executed_s` when; both are None where it did not.
    """

    t: float
    server: str
    op: str | None
    attempt: int | None
    method: str
    remaining_s: float | None
    request_hash: str | None = None
    response_hash: str | None = None
    executed_s: float | None = None

    @property
    def carries_work(self) -> bool:
        """Whether it is an operation's: health checks, and questions about the server, are not."""
        name = self.method.rpartition("/")[2].lower()
        return self.op is not None or "execute" in name or "stream" in name


@dataclass(frozen=True, slots=True)
class SeenAttempt:
    """One attempt at one endpoint; `op` is None where the server was not told whose it was."""

    t: float
    op: str | None
    endpoint: str


def served_calls(history: History) -> list[ServedCall]:
    """Return every call of every server, in the order in which they came.

    A server that was started again counts its calls from 1 again, so an entry that begins
    a call begins a new one, whatever its number.
    """
    found: list[ServedCall] = []
    current: dict[tuple[str, str], ServedCall] = {}
    for event in history.server_events:
        if event.call is None:
            continue
        key = (event.server, event.call)
        if event.kind == RECEIVED or key not in current:
            current[key] = _begun(event)
            found.append(current[key])
        call = current[key]
        call.request_hash = call.request_hash or event.request_hash
        if event.response_hash is not None and call.response_hash is None:
            call.response_hash, call.executed_s = event.response_hash, event.t
    return found


def seen_attempts(history: History) -> list[SeenAttempt]:
    """Return every attempt that either side tells of, in the order of time."""
    reported: dict[tuple[str | None, str], list[SeenAttempt]] = defaultdict(list)
    for attempt in history.attempts:
        seen = SeenAttempt(attempt.started_s, attempt.op or None, attempt.endpoint)
        reported[seen.op, seen.endpoint].append(seen)
    arrived: dict[tuple[str | None, str], list[SeenAttempt]] = defaultdict(list)
    for call in history.once(served_calls):
        if call.carries_work:
            arrived[call.op, call.server].append(SeenAttempt(call.t, call.op, call.server))
    found: list[SeenAttempt] = []
    for key in {**reported, **arrived}:
        by_client, by_server = reported.get(key, []), arrived.get(key, [])
        found += by_client if len(by_client) >= len(by_server) else by_server
    return sorted(found, key=lambda attempt: attempt.t)


def executions(history: History) -> Mapping[str, list[ServedCall]]:
    """Return the calls in which servers did the work of each operation, by its id."""
    found: dict[str, list[ServedCall]] = {}
    for call in history.once(served_calls):
        if call.op is not None and call.response_hash is not None:
            found.setdefault(call.op, []).append(call)
    return found


def computed_chunks(history: History) -> Mapping[tuple[str, int], set[str]]:
    """Return what servers computed for each chunk of each stream, by operation and sequence number."""
    found: dict[tuple[str, int], set[str]] = {}
    for event in history.server_events:
        if event.op is not None and event.sequence is not None and event.response_hash is not None:
            found.setdefault((event.op, event.sequence), set()).add(event.response_hash)
    return found


def _begun(event: ServerEvent) -> ServedCall:
    return ServedCall(
        t=event.t,
        server=event.server,
        op=event.op,
        attempt=event.attempt,
        method=event.method or "",
        remaining_s=event.remaining_s,
    )
