"""`rpe proxy`: the fault proxy as a process of its own."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rpe.cli.failing import Debug, told

__all__ = ["Loop", "proxy"]


class Loop(StrEnum):
    """The event loop that a process runs on."""

    ASYNCIO = "asyncio"
    UVLOOP = "uvloop"


@told
def proxy(
    host: Annotated[str, typer.Option(help="The address to serve the API on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port of the API; 0 takes a free one.")
    ] = 8474,
    seed: Annotated[int, typer.Option(help="What all chance is drawn from: jitter and toxicity repeat.")] = 0,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A JSON file of proxies to begin with, as Toxiproxy reads."),
    ] = None,
    metrics: Annotated[bool, typer.Option("--metrics", help="Serve Prometheus metrics at /metrics.")] = False,
    loop: Annotated[Loop, typer.Option(help="The event loop; uvloop is faster.")] = Loop.ASYNCIO,
    debug: Debug = False,
) -> None:
    """Serve Toxiproxy's API, and its toxics, until Ctrl-C."""
    from rpe.faults.proxy import standalone

    standalone.run(host, port, seed=seed, config=config, metrics=metrics, loop=loop.value)
