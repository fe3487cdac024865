"""The journal of a fake that serves a definition: whole calls, with all their messages and their end."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message

from rpe.clock import Clock
from rpe.fakes.definition.paths import json_form
from rpe.fakes.definition.scenarios import Scenarios

__all__ = ["Call", "CallJournal", "chance"]


@dataclass(slots=True, eq=False)
class Call:
    """One call that came in, and what became of it.

    service, method: the full name of the service, and the name of the method.
    number: which call of its method it is, from 1.
    metadata: what the caller sent, without what belongs to gRPC itself.
    request_messages, answer_messages: as they came and went. Those that go out are noted before.
    rule: which rule of the method answered, from 0; None where none did.
    code, details: the status; "" while the call runs. CANCELLED also where the caller gave up.
    delays_s: the delays that were drawn for it, in seconds, in the order in which they were waited.
    error: what a function of the definition raised where that ended the call.
    started_s, ended_s: by the fake's clock; `ended_s` is None while the call runs.
    """

    service: str
    method: str
    number: int
    started_s: float
    metadata: tuple[tuple[str, str | bytes], ...] = field(default=(), repr=False)
    request_messages: list[Message] = field(default_factory=list, repr=False)
    answer_messages: list[Message] = field(default_factory=list, repr=False)
    rule: int | None = None
    code: str = ""
    details: str = ""
    delays_s: tuple[float, ...] = ()
    error: Exception | None = field(default=None, repr=False)
    ended_s: float | None = None

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The requests in the JSON form of proto3, with the field names of the contract."""
        return [json_form(message) for message in self.request_messages]

    @property
    def answers(self) -> list[dict[str, Any]]:
        """The answers in the JSON form of proto3, with the field names of the contract."""
        return [json_form(message) for message in self.answer_messages]


def chance(seed: int, call: Call, purpose: str = "") -> random.Random:
    """Return a generator for one call: the same for the same number, whatever came before or beside it.

    Each purpose has draws of its own. The seed is put together as `rpe.fakes.decide.call_rng` does
    it, which is not used here because it takes much longer to import than all of this.
    """
    return random.Random(f"{seed}/{call.service}/{call.method}{purpose}/{call.number}")


class CallJournal:
    """The newest `limit` calls in the order in which they came, and who waits for their end.

    It is what a fake remembers, and so has the states of the fake's scenarios, too.
    """

    def __init__(self, clock: Clock, limit: int) -> None:
        self._clock = clock
        self._calls: deque[Call] = deque(maxlen=limit)
        self._counts: dict[tuple[str, str], int] = {}
        self._changed = asyncio.Event()
        self.keeps = limit > 0
        self.scenarios = Scenarios()

    def begin(self, service: str, method: str, metadata: Iterable[tuple[str, str | bytes]]) -> Call:
        """Note a call that has come in."""
        number = self._counts.get((service, method), 0) + 1
        self._counts[service, method] = number
        call = Call(service, method, number, self._clock.now(), tuple(metadata))
        self._calls.append(call)
        return call

    def end(self, call: Call, code: str, details: str = "") -> None:
        """Note how a call ends. Only the first word counts."""
        if call.ended_s is None:
            call.code, call.details, call.ended_s = code, details, self._clock.now()
            self._changed.set()

    def calls(self, service: str | None = None, method: str | None = None) -> list[Call]:
        """Return the calls of a service and of a method, of all where they are None."""
        return [
            call
            for call in self._calls
            if (service is None or call.service == service) and (method is None or call.method == method)
        ]

    async def wait(self, count: int, service: str | None, method: str | None, timeout_s: float) -> list[Call]:
        """Wait until `count` calls have ended, and return those. Raises TimeoutError."""
        async with self._clock.deadline(self._clock.now() + timeout_s):
            while True:
                self._changed.clear()
                ended = [call for call in self.calls(service, method) if call.ended_s is not None]
                if len(ended) >= count:
                    return ended
                await self._changed.wait()

    def clear(self) -> None:
        """Forget all calls, count from 1 again, and put every scenario back to its start."""
        self.scenarios.reset()
        self._calls.clear()
        self._counts.clear()
