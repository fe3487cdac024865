"""The replay: a server that answers as a cassette says."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Protocol, Self, get_args

from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.errors import ConfigurationError
from rpe.fakes.cassette.catalogue import Catalogue, Found, Match
from rpe.fakes.cassette.model import Cassette
from rpe.fakes.cassette.played import PlayedCall
from rpe.fakes.cassette.playing import Begun
from rpe.fakes.cassette.reading import read_cassette
from rpe.fakes.cassette.scrubbing import Known, Scrubber
from rpe.fakes.cassette.splice import Splice, parse_splice
from rpe.fakes.cassette.steps import Step, spliced, steps_of

__all__ = ["Replay", "Stage"]


class _Server(Protocol):
    @property
    def endpoint(self) -> str: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class Stage:
    """What the servers of both wires share: recordings, the pace, the fault, and the journal."""

    def __init__(
        self,
        cassette: Cassette,
        *,
        speed: float,
        match: Match,
        splice: Splice | None,
        clock: Clock,
        journal_limit: int,
        on_end: Callable[[PlayedCall], None],
    ) -> None:
        self.on_end = on_end
        self.speed = speed
        self.clock = clock
        self.catalogue = Catalogue(cassette, match)
        self.begun = Begun(clock)
        self.scrubber = Scrubber(cassette.head.scrub)
        self.splice = splice
        self.calls: deque[PlayedCall] = deque(maxlen=journal_limit)
        self._cassette = cassette
        self._number = 0
        self._fitting = 0

    def begin(self, name: str) -> PlayedCall:
        """Note that a call has come."""
        self._number += 1
        played = PlayedCall(self._number, name, self.clock.now())
        self.calls.append(played)
        return played

    def steps(self, played: PlayedCall, method: str, path: str, content: str | None) -> list[Step] | None:
        """Return what is to be done for a call, noting what was found for it; None where nothing was."""
        found: Found = self.catalogue.find(method, path, content)
        played.by = found.by
        if found.call is None:
            return None
        played.recorded = found.call.number
        self.begun.begin(found.call.number)
        if content is not None and not self.catalogue.is_of(found.call.number, content):
            played.notes.append("the request is not the recorded one")
        steps = steps_of(found.call, self._cassette.calls)
        splice = self.splice
        if splice is None or not self._strikes(splice, path.partition("?")[0] or method):
            return steps
        # Of each call by itself, so that calls that run at the same time do not change each other's.
        random = Random(f"{splice.seed}/{played.number}")
        if random.random() >= splice.rate:
            return steps
        steps, missed = spliced(steps, splice, random)
        if missed:
            played.notes.append(missed)
        return steps

    def requests_of(self, played: PlayedCall) -> list[bytes]:
        """Return the requests of the recording that answers a call."""
        return next((call.requests for call in self._cassette.calls if call.number == played.recorded), [])

    def known(self, metadata: Mapping[str, str]) -> Known:
        """Return what is to be masked in a request, as it was when it was recorded."""
        known = Known()
        self.scrubber.pairs(metadata.items(), known)
        return known

    def reset(self) -> None:
        """Begin anew: the recordings, the journal and the counting of calls."""
        self.catalogue.reset()
        self.calls.clear()
        self._number = self._fitting = 0

    def _strikes(self, splice: Splice, name: str) -> bool:
        if splice.method is not None and not name.endswith(splice.method):
            return False
        self._fitting += 1
        return splice.call in (None, self._fitting)


class Replay:
    """Replays a cassette, used as an async context.

        async with Replay("calls.jsonl", speed=0) as replay:
            await use_my_client(replay.endpoint)
            assert [call.by for call in replay.calls] == ["content"]

    Arguments:
        cassette: its path, or what `read_cassette` gave.
        speed: 1 is the recorded pace and 2 twice as fast; 0 waits for nothing but the caller.
        match: how a recording is chosen among those of one method or path: by the content of the
            request and, where none fits, in their order; or only one of the two.
        splice: one fault to put in, also as text (`parse_splice`).
        host, port: where to listen, in clear text; port 0 takes a free one, which is never shared.
        journal_limit: how many of the newest calls `calls` keeps.
        on_end: is given each call as it has ended.

    Raises ConfigurationError where the cassette cannot be used, or the fault not be put into it.
    """

    def __init__(
        self,
        cassette: Cassette | Path | str,
        *,
        speed: float = 1.0,
        match: Match = "content-then-order",
        splice: Splice | str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        journal_limit: int = 10_000,
        on_end: Callable[[PlayedCall], None] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if not 0 <= speed < float("inf"):
            raise ConfigurationError("speed is a number of at least 0", hint="0 is as fast as possible")
        if match not in get_args(Match):
            raise ConfigurationError(f"match is one of {', '.join(get_args(Match))}, and not {match}")
        self.cassette = cassette if isinstance(cassette, Cassette) else read_cassette(cassette)
        fault = parse_splice(splice) if isinstance(splice, str) else splice
        if fault is not None:
            fault.check(self.cassette.head.wire)
        self._stage = Stage(
            self.cassette,
            speed=speed,
            match=match,
            splice=fault,
            clock=clock,
            journal_limit=journal_limit,
            on_end=on_end or (lambda played: None),
        )
        self._host = host
        self._port = port
        self._server: _Server | None = None

    @property
    def endpoint(self) -> str:
        """Where callers connect to, as `host:port`; empty before the start."""
        return "" if self._server is None else self._server.endpoint

    @property
    def calls(self) -> list[PlayedCall]:
        """The calls in the order in which they came, running ones too."""
        return list(self._stage.calls)

    def reset(self) -> None:
        """Begin anew: every recording is given once more, the journal is empty, calls count from 1."""
        self._stage.reset()

    async def start(self) -> None:
        """Bind and serve. Raises ConfigurationError where that cannot be. Harmless where it runs."""
        if self._server is not None:
            return
        server = _server(self._stage, self.cassette.head.wire, self._host, self._port)
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """Break off what runs, and wait until nothing is left. The journal stays. Harmless twice."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def __repr__(self) -> str:
        return f"<Replay of {len(self.cassette.calls)} calls at {self.endpoint or 'no address yet'}>"


def _server(stage: Stage, wire: str, host: str, port: int) -> _Server:
    if wire == "grpc":
        from rpe.fakes.cassette.grpc_replaying import GrpcReplaying

        return GrpcReplaying(stage, host=host, port=port)
    from rpe.fakes.cassette.http_replaying import HttpReplaying

    return HttpReplaying(stage, host=host, port=port)
