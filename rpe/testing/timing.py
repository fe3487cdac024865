"""When things happened in a session, as a fake's journal has it, and asserts on that.

    timing = timing_of(fake.journal, operation_id="call-7")
    timing.assert_in_order()
    timing.assert_first_result_within(0.5)

All times are differences of the journal's clock, in seconds: where a fake runs by a
`rpe.testing.ManualClock`, they are exact.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

from rpe.errors import ConfigurationError
from rpe.fakes.journal import Entry, Kind

__all__ = ["Gap", "SessionTiming", "timing_of"]

_ENDS = (Kind.SENT, Kind.FAILED, Kind.CANCELLED)
_SHOWN = 5


@dataclass(frozen=True)
class Gap:
    """A time without a result: from one moment to another, both since the session was received.

    `after` and `before` tell what was at either end, such as `result 3`.
    """

    from_s: float
    to_s: float
    after: str
    before: str

    @property
    def length_s(self) -> float:
        """How long it was."""
        return self.to_s - self.from_s

    def __str__(self) -> str:
        return f"{self.length_s:.3f} s between {self.after} (at {self.from_s:.3f} s) and {self.before}"


@dataclass(frozen=True)
class SessionTiming:
    """The timing of one session, over all the attempts that it took.

    Attributes:
        entries: what the journals have of it, in the order of time.
        attempts: the timing of each attempt by itself, in order; empty where this is one.
    """

    entries: tuple[Entry, ...] = field(repr=False)
    attempts: tuple[SessionTiming, ...] = ()

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Self:
        """Make one of entries that are all of one session. Raises ConfigurationError where there are none."""
        told = tuple(sorted(entries, key=lambda entry: entry.at_s))
        if not told:
            raise ConfigurationError("there is no entry to take a timing of")
        return cls(told)

    # --- what is known ---------------------------------------------------------------------------------

    @property
    def received_s(self) -> float:
        """When it was received, by the clock of the journal."""
        return self.entries[0].at_s

    @property
    def ready_after_s(self) -> float | None:
        """From received until the (first) server was ready; None where none was."""
        return next((self._at(entry) for entry in self._of(Kind.READY)), None)

    @property
    def results(self) -> tuple[Entry, ...]:
        """Each result, in the order of time."""
        return self._of(Kind.RESULT)

    @property
    def sequences(self) -> tuple[int | None, ...]:
        """The number of each result, in the order of time."""
        return tuple(entry.sequence for entry in self.results)

    @property
    def first_result_s(self) -> float | None:
        """From received until the first result; None without one."""
        return self._at(self.results[0]) if self.results else None

    @property
    def first_result_after_ready_s(self) -> float | None:
        """From ready until the first result; None without both."""
        first_s, ready_s = self.first_result_s, self.ready_after_s
        return None if first_s is None or ready_s is None else first_s - ready_s

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """The times between one result and the next."""
        return tuple(
            Gap(self._at(one), self._at(two), _named(one), _named(two))
            for one, two in zip(self.results, self.results[1:], strict=False)
        )

    @property
    def longest_gap_s(self) -> float:
        """The longest time between two results; 0 where there are no two."""
        return max((gap.length_s for gap in self.gaps), default=0.0)

    @property
    def gap_p50_s(self) -> float:
        """Half of the times between results are no longer than this."""
        return self.gap_s(0.5)

    @property
    def gap_p99_s(self) -> float:
        """99 of 100 of the times between results are no longer than this."""
        return self.gap_s(0.99)

    def gap_s(self, quantile: float) -> float:
        """Return the time that so large a part of the gaps does not exceed (nearest rank); 0 without gaps."""
        lengths = sorted(gap.length_s for gap in self.gaps)
        return lengths[max(0, math.ceil(quantile * len(lengths)) - 1)] if lengths else 0.0

    @property
    def longest_stall(self) -> Gap | None:
        """The longest time in which a chunk waited and no result came, also through a change of servers.

        None where no chunk ever waited. A result answers its chunk and those before it. Unlike a
        gap, it does not count the time in which the caller sent nothing; and it counts what follows
        the last result, up to the end of the session.
        """
        return max(self._stalls(), key=lambda gap: gap.length_s, default=None)

    @property
    def latencies_s(self) -> dict[int, float]:
        """From when the server first took each chunk up to its first result, by the number of the chunk."""
        came_s: dict[int, float] = {}
        latencies_s: dict[int, float] = {}
        for entry in self.entries:
            if entry.sequence is None:
                continue
            if entry.kind is Kind.CHUNK:
                came_s.setdefault(entry.sequence, entry.at_s)
            elif entry.kind is Kind.RESULT and entry.sequence in came_s:
                latencies_s.setdefault(entry.sequence, entry.at_s - came_s[entry.sequence])
        return latencies_s

    @property
    def in_order(self) -> bool:
        """Whether no result followed one with a higher number, in each attempt by itself."""
        return not self._disorder()

    @property
    def duplicates(self) -> dict[int, int]:
        """How often the same result went out, by the number of its chunk, where it was more than once.

        The same is one for the same chunk with the same content, in whichever attempt.
        """
        counts = Counter((entry.sequence, *sorted(entry.content.items())) for entry in self.results)
        found: dict[int, int] = {}
        for (sequence, *_), count in counts.items():
            if count > 1 and isinstance(sequence, int):
                found[sequence] = max(count, found.get(sequence, 0))
        return found

    # --- what is asserted ------------------------------------------------------------------------------

    def assert_in_order(self) -> None:
        """Fail where a result followed one with a higher number, within one attempt."""
        if told := self._disorder():
            raise AssertionError(f"results came out of order: {'; '.join(told[:_SHOWN])}{self._context()}")

    def assert_no_duplicates(self) -> None:
        """Fail where the same result went out more than once, in one attempt or in several."""
        if found := self.duplicates:
            told = ", ".join(f"of chunk {number} {count} times" for number, count in sorted(found.items()))
            raise AssertionError(f"the same result went out more than once: {told}{self._context()}")

    def assert_first_result_within(self, seconds: float, *, of_ready: bool = False) -> None:
        """Fail unless the first result came so soon after the session was received, or was ready."""
        since = "ready" if of_ready else "received"
        took_s = self.first_result_after_ready_s if of_ready else self.first_result_s
        if took_s is None:
            raise AssertionError(f"no result came{self._context()}")
        if took_s > seconds:
            raise AssertionError(
                f"the first result came {took_s:.3f} s after the session was {since}, "
                f"and not within {seconds:g} s{self._context()}"
            )

    def assert_longest_gap(self, seconds: float) -> None:
        """Fail where two results were further apart."""
        self._assert_none_longer("gap", self.gaps, seconds)

    def assert_gap_p99(self, seconds: float) -> None:
        """Fail where more than 1 in 100 of the times between results was longer."""
        if self.gap_p99_s > seconds:
            raise AssertionError(
                f"the 99th percentile of {len(self.gaps)} gaps is {self.gap_p99_s:.3f} s, "
                f"and not at most {seconds:g} s{self._context()}"
            )

    def assert_longest_stall(self, seconds: float) -> None:
        """Fail where a chunk waited longer without any result coming."""
        self._assert_none_longer("stall", self._stalls(), seconds)

    def assert_latency_within(self, seconds: float) -> None:
        """Fail where a chunk that was answered waited longer for its first result."""
        late = {number: took_s for number, took_s in self.latencies_s.items() if took_s > seconds}
        if late:
            told = ", ".join(
                f"chunk {number} {took_s:.3f} s" for number, took_s in list(late.items())[:_SHOWN]
            )
            raise AssertionError(
                f"{len(late)} of {len(self.latencies_s)} chunks waited longer than {seconds:g} s "
                f"for their result: {told}{self._context()}"
            )

    # --- parts -----------------------------------------------------------------------------------------

    def _of(self, *kinds: Kind) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.kind in kinds)

    def _at(self, entry: Entry) -> float:
        return entry.at_s - self.received_s

    def _disorder(self) -> list[str]:
        return [
            f"{_named(two)} after {_named(one)} (at {self._at(two):.3f} s)"
            for attempt in self.attempts or (self,)
            for one, two in zip(attempt.results, attempt.results[1:], strict=False)
            if one.sequence is not None and two.sequence is not None and two.sequence < one.sequence
        ]

    def _stalls(self) -> list[Gap]:
        found: list[Gap] = []
        waiting: set[int] = set()
        since: Entry | None = None

        def until(entry: Entry) -> None:
            if since is not None:
                found.append(Gap(self._at(since), self._at(entry), _named(since), _named(entry)))

        for entry in self.entries:
            if entry.kind is Kind.CHUNK and entry.sequence is not None:
                since = since or entry
                waiting.add(entry.sequence)
            elif entry.kind is Kind.RESULT and entry.sequence is not None:
                until(entry)
                waiting = {number for number in waiting if number > (entry.sequence or 0)}
                since = entry if waiting else None
            elif entry.kind is Kind.SENT:
                until(entry)
                waiting, since = set(), None
        until(self.entries[-1])
        return found

    def _assert_none_longer(self, what: str, gaps: Sequence[Gap], seconds: float) -> None:
        long = sorted((gap for gap in gaps if gap.length_s > seconds), key=lambda gap: -gap.length_s)
        if not long:
            return
        worst = long[0]
        meant = [
            f"{entry.fault} at {self._at(entry):.3f} s"
            for entry in self._of(Kind.FAULT)
            if worst.from_s <= self._at(entry) <= worst.to_s
        ]
        cause = f"; the script did meanwhile: {', '.join(meant[:_SHOWN])}" if meant else ""
        raise AssertionError(
            f"{len(long)} of {len(gaps)} {what}s longer than {seconds:g} s, the longest {worst}"
            f"{cause}{self._context()}"
        )

    def _context(self) -> str:
        told = f"{len(self.results)} results in {self._at(self.entries[-1]):.3f} s"
        ends = ", ".join(f"{end.kind} {end.detail}".strip() for end in self._of(*_ENDS)) or "not over"
        tries = f", {len(self.attempts)} attempts" if len(self.attempts) > 1 else ""
        return f" ({told}{tries}; {ends})"


def timing_of(
    *journals: Iterable[Entry], operation_id: str | None = None, call: int | None = None
) -> SessionTiming:
    """Return the timing of one session out of the journals of one fake, or of several.

    `operation_id` picks the session whose attempts name it, at whichever of the fakes;
    `call` picks by the number of the call at its fake. Without either there must be one only.
    Calls without chunks and results (such as those of health) are passed over.

    Raises ConfigurationError where none fits, or several do.
    """
    calls: dict[tuple[int, str, int], list[Entry]] = {}
    for number, journal in enumerate(journals):
        for entry in journal:
            if entry.call and operation_id in (None, entry.operation_id) and call in (None, entry.call):
                calls.setdefault((number, entry.server, entry.call), []).append(entry)
    sessions = [told for told in calls.values() if any(e.kind in (Kind.CHUNK, Kind.RESULT) for e in told)]
    named = {told[0].operation_id for told in sessions}
    if not sessions:
        known = sorted(
            {entry.operation_id for journal in journals for entry in journal if entry.operation_id}
        )
        raise ConfigurationError(
            f"no journal has a session with operation_id={operation_id!r}, call={call!r}",
            hint=f"operations: {', '.join(known[:10]) or 'none is named'}",
        )
    if len(sessions) > 1 and (named == {""} or len(named) > 1):
        raise ConfigurationError(
            f"{len(sessions)} sessions fit", hint="give the operation_id of one, or its call at one fake"
        )
    attempts = sorted((SessionTiming.of(told) for told in sessions), key=lambda each: each.received_s)
    whole = sorted((entry for told in sessions for entry in told), key=lambda entry: entry.at_s)
    return SessionTiming(tuple(whole), tuple(attempts))


def _named(entry: Entry) -> str:
    """Tell what an entry is, such as `result 3`."""
    return str(entry.kind) if entry.sequence is None else f"{entry.kind} {entry.sequence}"
