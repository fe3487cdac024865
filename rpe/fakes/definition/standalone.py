"""A fake of a definition that a person or a container starts, and SIGTERM or Ctrl-C ends."""

from __future__ import annotations

import sys
from pathlib import Path

from rpe.fakes.definition.fake import ProtoFake
from rpe.fakes.definition.loading import load_definitions
from rpe.signals import ending_signals

__all__ = ["serve"]


async def serve(definition: Path, *, host: str = "127.0.0.1", port: int = 0) -> None:
    """Serve a definition's file, or a folder of them, until SIGINT or SIGTERM.

    One line on standard output says where, once calls are taken. Raises ConfigurationError at
    once where the definition is wrong or the port is taken.
    """
    with ending_signals() as ending:
        # Nobody can ask this fake for its calls, and it may run for days: none is kept.
        async with ProtoFake(load_definitions(definition), host=host, port=port, journal_limit=0) as fake:
            sys.stdout.write(f"rpe fake serves grpc at {fake.endpoint} ({', '.join(fake.services)})\n")
            sys.stdout.flush()
            await ending.wait()
