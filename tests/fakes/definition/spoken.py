"""A fake's methods without a wire and without waiting: what is taken and sent is plain data."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from rpe.fakes.definition.answering import MethodServer
from rpe.fakes.definition.calls import Call, CallJournal
from rpe.fakes.definition.ending import CallEnded, Metadata, Outgoing
from rpe.fakes.definition.loading import Definitions
from rpe.fakes.definition.messages import parsed
from rpe.fakes.definition.paths import json_form


class QuickClock:
    """Time that passes only when someone sleeps; deadlines are real."""

    def __init__(self) -> None:
        self.time_s = 100.0

    def now(self) -> float:
        return self.time_s

    async def sleep(self, delay_s: float) -> None:
        self.time_s += max(delay_s, 0.0)
        await asyncio.sleep(0)

    async def sleep_until(self, when_s: float) -> None:
        await self.sleep(when_s - self.time_s)

    def deadline(self, when_s: float | None) -> AbstractAsyncContextManager[object]:
        return asyncio.timeout(None if when_s is None else when_s - self.time_s)


@dataclass
class Said:
    """What came of one call. `times_s` has when each answer was sent, from the beginning of the call."""

    call: Call
    answers: list[dict[str, Any]] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)
    began: Metadata = ()
    trailing: Metadata = ()
    ended: CallEnded | None = None

    @property
    def status(self) -> tuple[str, str]:
        return ("OK", "") if self.ended is None else (self.ended.code, self.ended.text)

    @property
    def ids(self) -> list[str]:
        return [answer.get("id", "") for answer in self.answers]


class Spoken:
    """The methods of one service, and one journal."""

    def __init__(self, definitions: Definitions, seed: int = 0) -> None:
        [service] = definitions.services.values()
        self.clock = QuickClock()
        self.journal = CallJournal(self.clock, 1000)
        self.methods = {
            name: MethodServer(service.name, plan, self.journal, self.clock, seed=seed)
            for name, plan in service.methods.items()
        }

    async def __call__(
        self,
        method: str,
        *requests: dict[str, Any],
        metadata: Iterable[tuple[str, str | bytes]] = (),
        coming: AsyncIterable[dict[str, Any]] | None = None,
    ) -> Said:
        """Make a call with these requests, or with those that are coming."""
        served = self.methods[method]
        streams = served.plan.kind in ("client streaming", "bidirectional streaming")
        waiting = list(requests or ([] if streams else [{}]))
        later = None if coming is None else aiter(coming)
        began_s = self.clock.now()

        async def take() -> bytes | None:
            await asyncio.sleep(0)
            form = waiting.pop(0) if waiting else None if later is None else await anext(later, None)
            return None if form is None else parsed(served.plan.request, form).SerializeToString()

        answers: list[tuple[float, Outgoing]] = []

        async def send(message: Outgoing) -> None:
            answers.append((self.clock.now() - began_s, message))

        began: list[Metadata] = []

        async def begin(sent: Metadata) -> None:
            assert not answers
            began.append(sent)

        trailing: Metadata = ()
        ended = None
        place = len(self.journal.calls(method=method))  # nothing is waited for until the call is noted
        try:
            trailing = await served.serve(metadata, take, send, begin)
        except CallEnded as error:
            ended, trailing = error, error.metadata
        said = Said(self.journal.calls(method=method)[place], ended=ended, trailing=trailing)
        said.times_s = [round(time_s, 6) for time_s, _ in answers]
        kind = served.plan.response
        said.answers = [
            json_form(kind.FromString(sent) if isinstance(sent, bytes) else sent) for _, sent in answers
        ]
        said.began = began[0] if began else ()
        assert said.call.answers == said.answers
        assert (said.call.code, said.call.details) == said.status
        return said
