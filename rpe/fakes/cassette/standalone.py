"""A recorder or a replay that a person or a container starts, and SIGTERM or Ctrl-C ends."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from rpe.fakes.cassette.catalogue import Match
from rpe.fakes.cassette.reading import read_cassette
from rpe.fakes.cassette.recorder import Recorder
from rpe.fakes.cassette.replay import Replay
from rpe.signals import ending_signals

__all__ = ["record", "replay"]


async def record(
    upstream: str,
    out: Path,
    *,
    scrub: Iterable[str] = (),
    host: str = "127.0.0.1",
    port: int = 0,
    ca: Path | None = None,
) -> None:
    """Record until SIGINT or SIGTERM; arguments are those of `Recorder`.

    One line on standard output says where, once calls are taken, and one at the end how many came.
    """
    with ending_signals() as ending:
        recorder = Recorder(upstream, path=out, scrub=scrub, host=host, port=port, ca=ca)
        async with recorder:
            _say(f"rpe fake record takes calls to {recorder.upstream} at {recorder.endpoint}, into {out}")
            await ending.wait()
        _say(f"calls recorded in {out}: {recorder.calls}")


async def replay(
    cassette: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    speed: float = 1.0,
    match: Match = "content-then-order",
    fault: str | None = None,
) -> None:
    """Replay until SIGINT or SIGTERM; arguments are those of `Replay`.

    One line on standard output says where, once calls are taken, and one tells of each call as it ends.
    """
    read = read_cassette(cassette)
    with ending_signals() as ending:
        served = Replay(
            read,
            host=host,
            port=port,
            speed=speed,
            match=match,
            splice=fault,
            on_end=lambda played: _say(str(played)),
        )
        async with served:
            told = f"{len(read.calls)} calls of {cassette}"
            if read.unfinished:
                told += f", {len(read.unfinished)} of them unfinished"
            _say(f"rpe fake replay serves {read.head.wire} at {served.endpoint} ({told})")
            await ending.wait()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
