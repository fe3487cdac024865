"""The recorder: a proxy before a real server that writes a cassette of what passes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.fakes.cassette.scrubbing import Scrubber
from rpe.fakes.cassette.upstream import Upstream, parse_upstream
from rpe.fakes.cassette.writing import CassetteWriter

__all__ = ["Recorder"]


class _Recording(Protocol):
    @property
    def endpoint(self) -> str: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class Recorder:
    """Records the calls to a real server, used as an async context.

        async with Recorder("grpc://127.0.0.1:50051", path="calls.jsonl") as recorder:
            await use_my_client(recorder.endpoint)

    Arguments:
        upstream: the server, as `grpc://host:port`, `grpcs://`, `http://` or `https://`.
        path: the cassette; a file that is there is written over.
        scrub: names of metadata keys, headers, query parameters and JSON fields (`auth.token`) whose
            values are secret, beside those that always are.
        host, port: where to listen, in clear text; port 0 takes a free one, which is never shared.
        ca: a file with the certificates to trust, in PEM, for `grpcs` and `https`.

    Raises ConfigurationError where the upstream is none. On leaving, calls that run are broken off; in
    the cassette they are unfinished.
    """

    def __init__(
        self,
        upstream: str,
        *,
        path: Path | str,
        scrub: Iterable[str] = (),
        host: str = "127.0.0.1",
        port: int = 0,
        ca: Path | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.path = Path(path)
        self._upstream = parse_upstream(upstream, ca)
        self._scrubber = Scrubber(scrub)
        self._host = host
        self._port = port
        self._clock = clock
        self._writer: CassetteWriter | None = None
        self._recording: _Recording | None = None

    @property
    def upstream(self) -> str:
        """The server that is recorded, as a URL."""
        return self._upstream.origin

    @property
    def endpoint(self) -> str:
        """Where callers connect to, as `host:port`; empty before the start."""
        return "" if self._recording is None else self._recording.endpoint

    @property
    def calls(self) -> int:
        """How many calls have begun."""
        return 0 if self._writer is None else self._writer.calls

    async def start(self) -> None:
        """Write the head of the cassette, bind and serve. Harmless where it runs.

        Raises ConfigurationError where the file cannot be written or the address not be bound.
        """
        if self._recording is not None:
            return
        writer = CassetteWriter(
            self.path, self._upstream.wire, self._upstream.origin, self._scrubber, self._clock
        )
        recording = _recording(self._upstream, writer, self._clock, self._host, self._port)
        try:
            await recording.start()
        except BaseException:
            writer.close()
            raise
        self._writer, self._recording = writer, recording

    async def stop(self) -> None:
        """Close the cassette, and break off what still runs. Harmless twice."""
        recording, self._recording = self._recording, None
        if recording is None:
            return
        # First, since what ends by this alone has had no end of its own.
        assert self._writer is not None
        self._writer.close()
        await recording.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def __repr__(self) -> str:
        return f"<Recorder of {self.upstream} at {self.endpoint or 'no address yet'}>"


def _recording(upstream: Upstream, writer: CassetteWriter, clock: Clock, host: str, port: int) -> _Recording:
    if upstream.wire == "grpc":
        from rpe.fakes.cassette.grpc_recording import GrpcRecording

        return GrpcRecording(upstream, writer, clock, host=host, port=port)
    from rpe.fakes.cassette.http_recording import HttpRecording

    return HttpRecording(upstream, writer, clock, host=host, port=port)
