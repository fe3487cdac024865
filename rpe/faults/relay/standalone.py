"""The datagram relay as a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

from rpe.faults.relay.embedded import EmbeddedRelay
from rpe.signals import ending_signals

__all__ = ["serve"]


async def serve(
    host: str = "127.0.0.1",
    port: int = 8475,
    *,
    seed: int = 0,
    draws: Path | None = None,
    replay: Path | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; one line with the URL on standard output says that it does.

    Arguments are those of EmbeddedRelay. Raises ConfigurationError at once where the port is
    taken or a file cannot be used. On return every socket is closed and the draws are written.
    """
    with ending_signals() as ending:
        async with EmbeddedRelay(host=host, port=port, seed=seed, draws=draws, replay=replay) as relay:
            sys.stdout.write(f"rpe relay serves at {relay.url} (seed {seed})\n")
            sys.stdout.flush()
            await ending.wait()
