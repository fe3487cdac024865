"""The control API's way to fakes of pipelines: their rules are the script that they follow."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.errors import ConfigurationError
from rpe.fakes.behaviour import Behaviour, Health, parse_behaviour
from rpe.fakes.brain import Brain
from rpe.fakes.control.controlled import Bell, JournalQuery, Verdict, mapping, merged
from rpe.fakes.control.faults import Faults, OpenFault, take_lasting
from rpe.fakes.control.metrics import Metrics
from rpe.fakes.control.verifying import judge, misses_of, read_expectation
from rpe.fakes.journal import Entry, Journal, Kind
from rpe.fakes.server import as_behaviour
from rpe.transport.serving import StatusCode

__all__ = ["ControlledPipeline"]

_SECRET = {"token", "other_token"}
_WORK = ("execute", "stream")
"""The calls that a script is about."""
_ENDS = (Kind.SENT, Kind.FAILED, Kind.CANCELLED)
_STATUSES = {status.value for status in StatusCode}


class PipelineLike(Protocol):
    """A fake with a brain: `FakeServer` and `PipelineFake`."""

    @property
    def brain(self) -> Brain:
        """What answers."""
        ...

    @property
    def journal(self) -> Journal:
        """What it remembers."""
        ...


class ControlledPipeline:
    """Fills `rpe.fakes.control.controlled.Controlled` for a fake with a brain.

    Open faults are parts that are merged into its script, in the order in which they came. With each
    other script the fake counts its calls from 0 again, so that `first` and `every` begin anew.
    """

    def __init__(
        self, fake: PipelineLike, endpoints: Callable[[], Mapping[str, str]], clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self.metrics = Metrics()
        self.faults = Faults(clock, self._apply, lambda: self.metrics.not_applied("unused"))
        self.metrics.count_open(lambda: len(self.faults.open))
        self._fake = fake
        self._endpoints = endpoints
        self._base = _form(fake.brain.behaviour)
        self._forgotten = 0
        self.news = Bell()
        self._running: dict[int, float] = {}
        self._spent: list[OpenFault] = []
        fake.journal.observers.append(self._noted)

    def about(self) -> Mapping[str, Any]:
        """Return what is served, and where."""
        return {"kind": "pipeline", "name": self._fake.brain.name, "endpoints": dict(self._endpoints())}

    def rules(self) -> Any:
        """Return the script that holds, open faults included, without tokens."""
        return _shown(_form(self._fake.brain.behaviour))

    async def put_rules(self, form: Any) -> None:
        """Follow another script from the next call on; open faults stay open."""
        await self._follow(mapping(form, "a behaviour"))

    async def patch_rules(self, form: Any) -> None:
        """Merge parts into the script: mappings key by key, null takes away."""
        await self._follow(merged(self._base, mapping(form, "a behaviour")))

    def adopt(self) -> None:
        """Take the script that the fake was given by others for the one that faults are merged into."""
        self._base = _form(self._fake.brain.behaviour)
        if self.faults.open:
            self._apply()

    def fault(self, form: Any) -> OpenFault:
        """Merge `behaviour` into the script for `for_s` seconds or `calls` executions and sessions."""
        given = mapping(form, "a fault")
        lasting = take_lasting(given)
        part = mapping(given.pop("behaviour", None), "behaviour, the part of the script that a fault is,")
        if given or not part:
            raise ConfigurationError("a fault is {behaviour, for_s, calls}, and its behaviour is not empty")
        fault = self.faults.new(part, {"behaviour": _shown(part)}, lasting)
        self._checked(merged(self._effective(), part))
        self.faults.add(fault)
        self._apply()
        return fault

    def entries(self, query: JournalQuery) -> list[Mapping[str, Any]]:
        """Return entries of the journal as its file has them; `kind` is one of its kinds."""
        if query.kind is not None and query.kind not in set(Kind):
            raise ConfigurationError(f"kind: it is one of {', '.join(Kind)}")
        found: list[Mapping[str, Any]] = []
        for number, entry in self._numbered():
            if len(found) == query.limit:
                break
            if (
                number > query.since
                and (query.method is None or entry.method == query.method)
                and (query.kind is None or entry.kind == query.kind)
            ):
                found.append({"number": number, **json.loads(entry.to_json())})
        return found

    def forget(self) -> None:
        """Show nothing of what is in the journal now; a file that it is written to is left as it is."""
        self._forgotten = self._fake.journal.counts.total()

    def reset(self) -> None:
        """Forget the journal, and follow the script from its beginning: calls count from 0 again."""
        self._apply()
        self.forget()

    def verify(self, form: Any) -> Verdict:
        """Judge by entries of the journal; without `kind` by those of calls that came in (received)."""
        expectation = read_expectation(form, ("method", "kind", "fields"))
        kind = expectation.kind or Kind.RECEIVED
        if kind not in set(Kind):
            raise ConfigurationError(f"kind: it is one of {', '.join(Kind)}")
        candidates = [
            (number, json.loads(entry.to_json()))
            for number, entry in self._numbered()
            if entry.kind == kind and expectation.method in (None, entry.method)
        ]
        misses_of(expectation.fields, {})  # wrong conditions are told also where there is no candidate
        return judge(
            expectation,
            candidates,
            lambda candidate: misses_of(expectation.fields, candidate[1]),
            lambda candidate: f"entry {candidate[0]}",
        )

    def scenarios(self) -> Mapping[str, str]:
        """Return nothing: a script has no scenarios."""
        return {}

    def set_scenarios(self, states: Mapping[str, str]) -> None:
        """Refuse: a script has no scenarios."""
        raise ConfigurationError("a fake pipeline has no scenarios", hint="its script is at /rules")

    def health(self) -> Mapping[str, str]:
        """Return what health checks are told."""
        return {"": self._fake.brain.behaviour.health.value.upper()}

    def health_statuses(self) -> tuple[str, ...]:
        """Return the statuses of the script's part `health`."""
        return tuple(status.value.upper() for status in Health)

    def set_health(self, service: str | None, status: str) -> None:
        """Follow a script with another `health`; it holds for all services, so `service` is '' or None."""
        if service:
            raise ConfigurationError("a fake pipeline has one health for all of it: leave service out")
        if status.upper() not in self.health_statuses():
            raise ConfigurationError(f"status: it is one of {', '.join(self.health_statuses())}")
        self._base = merged(self._base, {"health": status.lower()})
        self._apply()

    async def _follow(self, form: Mapping[str, Any]) -> None:
        script = _form(parse_behaviour(form))
        self._checked(self._effective(script))
        self._base = script
        self._apply()

    def _effective(self, base: Any = None) -> dict[str, Any]:
        form = self._base if base is None else base
        for fault in self.faults.open:
            form = merged(form, fault.content)
        return dict(form)

    def _checked(self, form: Mapping[str, Any]) -> None:
        """Raise ConfigurationError where a script cannot be read, or asks for what no wire here can do."""
        wires = self._endpoints()
        as_behaviour(form, "http" if "http" in wires else next(iter(wires), "grpc"))

    def _apply(self) -> None:
        self._fake.brain.set_behaviour(parse_behaviour(self._effective()))

    def _numbered(self) -> Iterator[tuple[int, Entry]]:
        journal = self._fake.journal
        first = journal.counts.total() - len(journal) + 1
        return ((first + at, entry) for at, entry in enumerate(journal) if first + at > self._forgotten)

    def _noted(self, entry: Entry) -> None:
        """Count one entry of the journal, as it is written."""
        self.news.ring()
        method, metrics = entry.method, self.metrics
        if entry.kind is Kind.RECEIVED:
            self._running[entry.call] = entry.at_s
            metrics.call_began(method)
            if method in _WORK:
                self._met()
            if method == "execute":
                metrics.messages(method, "in")
        elif entry.kind in _ENDS:
            if entry.kind is Kind.SENT and method == "execute":
                metrics.messages(method, "out")
            began_s = self._running.pop(entry.call, None)
            if began_s is not None:
                metrics.call_ended(method, _code(entry), entry.at_s - began_s)
        elif entry.kind is Kind.CHUNK:
            metrics.messages(method, "in")
        elif entry.kind is Kind.RESULT:
            metrics.messages(method, "out")
        elif entry.kind is Kind.FAULT:
            metrics.fault(entry.fault)

    def _met(self) -> None:
        """Let open faults meet a call that has come in, and has not looked at the script yet."""
        if self._spent:
            # The call before was the last that they were for; this one is spared.
            self._heal_spent()
        for fault in self.faults.open:
            fault.met += 1
            if fault.spent:
                self._spent.append(fault)
        if self._spent:
            asyncio.get_running_loop().call_soon(self._heal_spent)

    def _heal_spent(self) -> None:
        spent, self._spent = self._spent, []
        self.faults.heal(*spent)


def _form(behaviour: Behaviour) -> dict[str, Any]:
    return behaviour.model_dump(mode="json", exclude_unset=True)


def _shown(form: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in form.items() if key not in _SECRET}


def _code(entry: Entry) -> str:
    if entry.kind is not Kind.FAILED:
        return "OK" if entry.kind is Kind.SENT else "CANCELLED"
    word = entry.detail.partition(":")[0]
    return word.upper() if word in _STATUSES else "ERROR"
