"""`rpe fake record` and `rpe fake replay`: a real server's answers kept in a file, and given again."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rpe.cli.failing import Debug, told

__all__ = ["Choice", "record", "replay"]


class Choice(StrEnum):
    """How a recording is chosen among those of one method or path."""

    BOTH = "content-then-order"
    CONTENT = "content"
    ORDER = "order"


@told
def record(
    upstream: Annotated[
        str,
        typer.Option(metavar="URL", help="The real server: grpc://host:port, grpcs://, http:// or https://."),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="The cassette; it is written over.")
    ],
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 0,
    scrub: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A metadata key, header, query parameter or JSON field (auth.token) that is a secret.",
        ),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The certificates to trust, in PEM, for grpcs and https."),
    ] = None,
    debug: Debug = False,
) -> None:
    """Pass calls on to a real server, and write them down, until SIGTERM or Ctrl-C.

    The cassette has every message with its time, and how each call ended. Credentials are scrubbed by
    their usual names, and by those that --scrub gives.
    """
    import asyncio

    from rpe.fakes.cassette import standalone

    asyncio.run(standalone.record(upstream, out, scrub=scrub or (), host=host, port=port, ca=ca))


@told
def replay(
    cassette: Annotated[Path, typer.Argument(metavar="FILE", help="What `rpe fake record` wrote.")],
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 0,
    speed: Annotated[
        float, typer.Option(min=0, help="2 is twice as fast as recorded, 0 as fast as possible.")
    ] = 1.0,
    match: Annotated[
        Choice, typer.Option(help="How a recording is chosen among those of one method or path.")
    ] = Choice.BOTH,
    fault: Annotated[
        str | None,
        typer.Option(metavar="SPEC", help="A fault to put in, such as cut,method=Stream,at_message=3."),
    ] = None,
    debug: Debug = False,
) -> None:
    """Answer calls as a cassette says, until SIGTERM or Ctrl-C; a line tells of each call that ended."""
    import asyncio

    from rpe.fakes.cassette import standalone

    asyncio.run(
        standalone.replay(cassette, host=host, port=port, speed=speed, match=match.value, fault=fault)
    )
