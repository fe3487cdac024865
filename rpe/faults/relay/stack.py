"""The impairments of one direction of a link, stacked: one decision per datagram, without any I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

from rpe.errors import ConfigurationError
from rpe.faults.actions import Stream
from rpe.faults.relay.decision import Decision, Delivery
from rpe.faults.relay.draws import DrawLog, DrawRecord, Replay
from rpe.faults.relay.impairments import Settings, Stage
from rpe.faults.relay.stats import ImpairmentStats
from rpe.faults.seeds import derive

__all__ = ["Impairments"]


class Impairments:
    """Named impairments, each with a generator of its own that is derived from seed, link, stream and name.

    So adding one, or another flow on the link, shifts the draws of no other. A name that comes
    back after it was removed goes on with its generator and its counters.

    Datagrams meet them in the order of their rank (losses first, then duplication,
    corruption, bandwidth, delay, reordering), and within a rank as they were added.

    Arguments:
        link, stream: whose datagrams these are.
        seed: the root of all draws.
        log: where every draw is written down.
        replay: decisions to take instead of draws. Past its end, draws are made again.
    """

    def __init__(
        self,
        link: str,
        stream: Stream,
        seed: int,
        *,
        log: DrawLog | None = None,
        replay: Replay | None = None,
    ) -> None:
        self.link = link
        self.stream = stream
        self.stats: dict[str, ImpairmentStats] = {}
        self._seed = seed
        self._log = log if log is not None else DrawLog()
        self._replay = replay
        self._number = 0
        self._stages: dict[str, Stage[Any]] = {}
        self._random: dict[str, Random] = {}
        self._ordered: tuple[tuple[str, Stage[Any]], ...] = ()

    def __len__(self) -> int:
        return len(self._stages)

    def __contains__(self, name: str) -> bool:
        return name in self._stages

    def __iter__(self) -> Iterator[tuple[str, Settings]]:
        """Yield names and settings in the order that datagrams meet them."""
        return ((name, stage.settings) for name, stage in self._ordered)

    def __getitem__(self, name: str) -> Settings:
        settings: Settings = self._stages[name].settings
        return settings

    def add(self, name: str, settings: Settings) -> None:
        """Put an impairment in force. Raises ConfigurationError where the name is taken."""
        if name in self._stages:
            raise ConfigurationError(f"the link {self.link!r} has an impairment {name!r} already")
        self._stages[name] = settings.stage()
        self._random.setdefault(name, derive(self._seed, "relay", self.link, self.stream, name))
        known = self.stats.get(name)
        if known is None or known.kind != settings.kind:
            self.stats[name] = ImpairmentStats(settings.kind, self.stream)
        self._sort()

    def update(self, name: str, attributes: Mapping[str, Any]) -> None:
        """Change some settings; what the impairment remembers stays. KeyError for an unknown name."""
        stage = self._stages[name]
        stage.settings = stage.settings.changed(attributes)

    def remove(self, name: str) -> None:
        """Take an impairment away. Raises KeyError for an unknown name."""
        del self._stages[name]
        self._sort()

    def decide(self, size: int, now: float) -> Decision:
        """Decide about a datagram of `size` bytes that arrives at `now`, in seconds."""
        if not self._ordered:
            return Decision((Delivery(now),))
        self._number += 1
        if self._replay is not None:
            record = self._replay.get(self.link, self.stream, self._number)
            if record is not None:
                return self._again(record, size, now)
        return self._decide(size, now)

    def _decide(self, size: int, now: float) -> Decision:
        copies: tuple[Delivery, ...] = (Delivery(now),)
        draws: dict[str, tuple[float, ...]] = {}
        effects: dict[str, tuple[str, ...]] = {}
        dropped_by = None
        for name, stage in self._ordered:
            drawn: list[float] = []
            random = self._random[name].random

            def draw(random: Any = random, drawn: list[float] = drawn) -> float:
                drawn.append(random())
                return drawn[-1]

            onward = [(copy, tuple(stage.pass_on(copy, size, draw))) for copy in copies]
            words = tuple(word for copy, out in onward for word in _effects(copy, out))
            self.stats[name].met(size, words)
            if drawn:
                draws[name] = tuple(drawn)
            if words:
                effects[name] = words
            copies = tuple(copy for _, out in onward for copy in out)
            if not copies:
                dropped_by = name
                break
        leaving = tuple((copy.at_s - now, copy.flips) for copy in copies)
        self._log.add(
            DrawRecord(
                self.link, self.stream, self._number, size, draws, effects, leaving, dropped_by=dropped_by
            )
        )
        return Decision(copies, dropped_by)

    def _again(self, record: DrawRecord, size: int, now: float) -> Decision:
        """Take a recorded decision, and count what it says as if it had been drawn."""
        for name, _ in self._ordered:
            self.stats[name].met(size, record.effects.get(name, ()))
            if name == record.dropped_by:
                break
        self._log.add(record)
        return record.decision(now)

    def _sort(self) -> None:
        self._ordered = tuple(sorted(self._stages.items(), key=lambda item: item[1].settings.rank))


def _effects(copy: Delivery, onward: tuple[Delivery, ...]) -> Iterator[str]:
    """Tell what a stage did to a copy, in the words of `rpe.faults.relay.stats`."""
    if not onward:
        yield "dropped"
    if len(onward) > 1:
        yield "duplicated"
    for out in onward:
        if out.at_s > copy.at_s:
            yield "delayed"
        if len(out.flips) > len(copy.flips):
            yield "corrupted"
