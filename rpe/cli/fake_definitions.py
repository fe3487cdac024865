"""`rpe fake generate` and `rpe fake serve`: fakes of any gRPC service, from its contract."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rpe.cli.failing import Debug, told
from rpe.cli.fake import fake

__all__ = ["fakes"]

fakes = typer.Typer()
"""The command `rpe fake` with its own commands; called without one it is the fake pipeline server."""

fakes.callback(invoke_without_command=True)(fake)


@fakes.command()
@told
def generate(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="PROTO...", help=".proto files and folders of them, or compiled descriptor sets."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Where definitions are written.")],
    include: Annotated[
        list[Path] | None,
        typer.Option(
            "--include", "-I", metavar="DIR", help="Where imports are looked for; guessed where not given."
        ),
    ] = None,
    compiled: Annotated[
        bool,
        typer.Option(
            "--compiled", help="Write a compiled set beside them, so that no compiler is needed to serve."
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also write over definitions that were edited.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Write a definition for each service of a contract, with an example answer for each method.

    Definitions that were edited are kept, and told on standard error; the exit code is then 1.
    """
    from rpe.fakes.definition.generating import generate

    kept = 0
    for done in generate(sources, out, include=include or (), compiled=compiled, force=force):
        if done.state == "kept":
            kept += 1
            typer.echo(f"kept {done.path}: it was edited (--force writes over it)", err=True)
        else:
            typer.echo(f"{done.state} {done.path}")
    if kept:
        raise typer.Exit(1)


@fakes.command()
@told
def serve(
    definition: Annotated[
        Path, typer.Argument(metavar="FILE_OR_DIR", help="A definition, or a folder of them.")
    ],
    host: Annotated[str, typer.Option(help="The address to serve on.")] = "127.0.0.1",
    grpc_port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 50051,
    debug: Debug = False,
) -> None:
    """Serve the services of definitions until SIGTERM or Ctrl-C, with health and reflection."""
    import asyncio

    from rpe.fakes.definition.standalone import serve

    asyncio.run(serve(definition, host=host, port=grpc_port))
