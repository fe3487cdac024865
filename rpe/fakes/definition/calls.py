"""The journal of a fake that serves a definition: whole calls, with all their messages and their end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message

from rpe.clock import Clock
from rpe.fakes.definition.paths import json_form

__all__ = ["Call", "CallJournal"]


@dataclass(slots=True, eq=False)
class Call:
    """One call that came in, and what became of it.

    service, method: the full name of the service, and the name of the method.
    number: which call of its method it is, from 1.
    metadata: what the caller sent, without what belongs to gRPC itself.
    request_messages, answer_messages: as they came and went. Those that go out are noted before.
    rule: which rule of the method answered, from 0; None where none did.
    code, details: the status; "" while the call runs. CANCELLED also where the caller gave up.
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
    ended_s: float | None = None

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The requests in the JSON form of proto3, with the field names of the contract."""
        return [json_form(message) for message in self.request_messages]

    @property
    def answers(self) -> list[dict[str, Any]]:
        """The answers in the JSON form of proto3, with the field names of the contract."""
        return [json_form(message) for message in self.answer_messages]


class CallJournal:
    """The newest `limit` calls in the order in which they came, and who waits for their end."""

    def __init__(self, clock: Clock, limit: int) -> None:
        self._clock = clock
        self._calls: deque[Call] = deque(maxlen=limit)
        self._counts: dict[tuple[str, str], int] = {}
        self._changed = asyncio.Event()
        self.keeps = limit > 0

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
        """Forget all calls, and count from 1 again."""
        self._calls.clear()
        self._counts.clear()
