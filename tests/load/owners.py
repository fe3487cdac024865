"""The engine on the test's own loop, with its owner on the other side of its socket."""

from __future__ import annotations

import asyncio
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

from rpe import ClientSettings, Manifest, Text
from rpe.fakes import FakeServer, Kind
from rpe.fakes.journal import Entry
from rpe.load.engine import Engine
from rpe.load.frames import Frame, FrameReader, pack, pack_again, unpack_done
from rpe.load.messages import KINDS, Samples, pack_data, settings_to_json
from rpe.load.rows import Row
from rpe.load.schedules import Pauses, Schedule

__all__ = ["ALWAYS", "Measured", "Owner", "engine", "nth", "of_a_call", "served"]

ECHO = Manifest.single("echo", node_type="Echo")
ALWAYS = {"timeout_s": None, "repeatable": None, "client": 1, "manifest": 2}


@dataclass
class Measured:
    """What an engine has measured, as it is told for Locust's statistics, and in rows."""

    samples: list[Samples]
    rows: list[Row]

    @property
    def counts(self) -> dict[str, int]:
        """How many samples there are of each kind; the rows have as many."""
        found: dict[str, int] = defaultdict(int)
        for each in self.samples:
            found[each.kind] += len(each.good_us) + len(each.bad)
        in_rows: dict[str, int] = defaultdict(int)
        for row in self.rows:
            in_rows[row.kind] += row.count
        assert found == in_rows
        return {kind: count for kind, count in found.items() if count}

    def good_ms(self, kind: str) -> list[float]:
        return [value / 1000 for each in self.samples if each.kind == kind for value in each.good_us]

    def errors(self, kind: str) -> list[str]:
        found = [error for each in self.samples if each.kind == kind for _, error in each.bad]
        texts = [text for row in self.rows if row.kind == kind for text, times in row.failures.items()]
        assert set(texts) == set(found)
        return found


class Owner:
    """The other side of an engine's socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.answers: dict[int, Frame] = {}
        self.samples: list[Samples] = []
        self.rows: list[Row] = []
        self.numbers = 100
        self._reader = reader
        self._writer = writer
        self._frames = FrameReader()

    def send(self, head: dict[str, Any], body: bytes = b"") -> None:
        self._writer.write(pack(head, body))

    async def answer(self, number: int) -> Frame:
        async with asyncio.timeout(10):
            while number not in self.answers:
                for frame in self._frames.feed(await self._reader.read(1 << 16)):
                    found = frame if frame.head else unpack_done(frame)
                    self.samples += [Samples(*each) for each in found.head.get("samples", [])]
                    self.rows += [Row(**each) for each in found.head.get("rows", [])]
                    if "call" in found.head:
                        self.answers[found.head["call"]] = found
        return self.answers[number]

    async def measured(self) -> Measured:
        """Return all that the engine has measured so far."""
        self.numbers += 1
        self.send({"op": "flush", "call": self.numbers})
        await self.answer(self.numbers)
        return Measured(self.samples, self.rows)

    async def connect(self, *endpoints: str, report: tuple[str, ...] = KINDS, **config: Any) -> Frame:
        settings = settings_to_json(config.pop("settings", ClientSettings()))
        head = {"op": "client", "call": 1, "id": 1, "endpoints": endpoints, "transport": "grpc"}
        self.send(head | {"settings": settings, "config": config, "report": report})
        self.send({"op": "manifest", "id": 2}, ECHO.to_json().encode())
        for number in range(5):
            self.send({"op": "data", "id": 10 + number}, pack_data(Text(f"chunk {number}")))
        return await self.answer(1)

    def execute(self, number: int, **more: Any) -> None:
        self.send(ALWAYS | {"op": "execute", "call": number, "name": "e", "data": 10, "keep": True} | more)

    def stream(self, number: int, **more: Any) -> None:
        chunks = [10, 11, 12, 13, 14]
        order = {"op": "stream", "call": number, "name": "s", "chunks": chunks, "every_s": 0, "keep": True}
        self.send(ALWAYS | order | more)

    def arrive(
        self, number: int, kind: str = "execute", *, max_in_flight: int = 100, **schedule: Any
    ) -> None:
        order = {"op": "arrive", "call": number, "client": 1, "name": "arrivals"}
        more = {"schedule": asdict(Schedule(**schedule)), "max_in_flight": max_in_flight}
        self.send(order | more | {"works": [self._work(kind, "a")]})

    def loop(self, number: int, *kinds: str, wait_s: float = 0.0) -> None:
        """Call in a closed loop; each kind of work is named like itself."""
        order = {
            "op": "loop",
            "call": number,
            "client": 1,
            "name": "caller",
            "pauses": asdict(Pauses(wait_s)),
        }
        self.send(order | {"works": [self._work(kind, f"a {kind}") for kind in kinds]})

    def again(self, number: int, order: int) -> None:
        """Make a call that was described by an order of this number."""
        self._writer.write(pack_again(number, order))

    @staticmethod
    def _work(kind: str, name: str) -> dict[str, Any]:
        order = {"op": kind, "name": name, "data": 10, "chunks": [10, 11], "every_s": 0, "keep": False}
        return ALWAYS | order


def nth(wanted: Callable[[Entry], bool], number: int) -> Callable[[Entry], bool]:
    """Whether an entry is the one of this number, from 0, of those that fit."""
    seen: list[Entry] = []

    def fits(entry: Entry) -> bool:
        if wanted(entry):
            seen.append(entry)
        return len(seen) > number

    return fits


def of_a_call(kind: Kind) -> Callable[[Entry], bool]:
    return lambda entry: entry.kind is kind and entry.method == "execute"


@asynccontextmanager
async def engine() -> AsyncIterator[Owner]:
    """Run an engine; afterwards it must end by itself, as its owner has."""
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=theirs)
    ended: list[bool] = []
    running = asyncio.create_task(Engine(writer, on_end=lambda: ended.append(True)).run(reader))
    own_reader, own_writer = await asyncio.open_connection(sock=ours)
    try:
        yield Owner(own_reader, own_writer)
    finally:
        own_writer.close()
        async with asyncio.timeout(5):
            await running
        writer.close()
        assert ended == [True]


@asynccontextmanager
async def served(behaviour: Mapping[str, Any] | None = None) -> AsyncIterator[tuple[Owner, FakeServer]]:
    async with FakeServer(behaviour=behaviour) as fake, engine() as owner:
        await owner.connect(fake.endpoint)
        yield owner, fake
