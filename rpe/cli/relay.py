"""`rpe relay`: the datagram relay as a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rpe.cli.failing import Debug, told

__all__ = ["relay"]


@told
def relay(
    host: Annotated[str, typer.Option(help="The address to serve the API on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port of the API; 0 takes a free one.")
    ] = 8475,
    seed: Annotated[int, typer.Option(help="What all chance is drawn from: losses and delays repeat.")] = 0,
    draws: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A file to write every draw to, a line of JSON each.")
    ] = None,
    replay: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Such a file, to take its decisions instead of draws.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Serve the datagram relay's API until Ctrl-C: a fault proxy for what WebRTC peers send each other."""
    import asyncio

    from rpe.faults.relay.standalone import serve

    asyncio.run(serve(host, port, seed=seed, draws=draws, replay=replay))
