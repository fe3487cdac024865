"""`rpe fake generate`: definitions of fakes from a contract, in files or of a live server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rpe.cli.failing import Debug, told

if TYPE_CHECKING:
    from rpe.fakes.definition.generating import Written

__all__ = ["generate"]


@told
def generate(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help=".proto files and folders of them, or compiled descriptor sets; or one server that has "
            "reflection, as grpc://host:port, or grpcs://host:port for TLS.",
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
            "--compiled",
            help="Write a compiled set beside them, so that no compiler is needed to serve. "
            "Of a server that is done anyway.",
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also write over definitions that were edited.")
    ] = False,
    header: Annotated[
        list[str] | None,
        typer.Option("--header", metavar="'NAME: VALUE'", help="Sent to the server along with reflection."),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option("--ca", metavar="FILE", help="Certificates that a server with TLS is trusted by, PEM."),
    ] = None,
    own: Annotated[
        bool, typer.Option("--own", help="Of a server also gRPC's own services, such as health.")
    ] = False,
    timeout_s: Annotated[
        float, typer.Option("--timeout-s", min=0.001, metavar="SECONDS", help="For asking a server.")
    ] = 10.0,
    debug: Debug = False,
) -> None:
    """Write a definition for each service of a contract, with an example answer for each method.

    Definitions that were edited are kept, and told on standard error; the exit code is then 1.
    """
    from rpe.errors import ConfigurationError
    from rpe.fakes.definition.reflection import is_server

    if not any(is_server(source) for source in sources):
        from rpe.fakes.definition.generating import generate

        if header or ca is not None or own:
            raise ConfigurationError("--header, --ca and --own are for a server, grpc://host:port")
        paths = [Path(source) for source in sources]
        _tell(generate(paths, out, include=include or (), compiled=compiled, force=force))
        return
    if len(sources) > 1 or include:
        raise ConfigurationError("a server is asked alone: without other sources, and without --include")
    _tell(_from_server(sources[0], out, header or (), ca, own, timeout_s, force))


def _from_server(
    url: str,
    out: Path,
    headers: Sequence[str],
    ca: Path | None,
    own: bool,
    timeout_s: float,
    force: bool,
) -> list[Written]:
    import asyncio

    from rpe.fakes.definition.generating import generate_from_set
    from rpe.fakes.definition.reflection import ReflectedServer, fetch_contracts

    roots = None if ca is None else ca.read_bytes()
    server = ReflectedServer.parse(url, root_certificates=roots, headers=headers)
    found = asyncio.run(fetch_contracts(server, own=own, timeout_s=timeout_s))
    return generate_from_set(found.files, found.services, out, force=force)


def _tell(written: list[Written]) -> None:
    kept = 0
    for done in written:
        if done.state == "kept":
            kept += 1
            typer.echo(f"kept {done.path}: it was edited (--force writes over it)", err=True)
        else:
            typer.echo(f"{done.state} {done.path}")
    if kept:
        raise typer.Exit(1)
