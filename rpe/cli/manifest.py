"""`rpe manifest`: is a pipeline's manifest good, and what may a manifest say?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rpe.cli.failing import Debug, told

__all__ = ["manifest"]

manifest = typer.Typer(
    name="manifest", help="Check the manifests of pipelines, and print their schema.", no_args_is_help=True
)


@manifest.command()
@told
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Manifests, in JSON or YAML.")],
    walk: Annotated[
        bool,
        typer.Option(
            "--walk", help="Also fetch the manifests of remote nodes, and look for circles among them."
        ),
    ] = False,
    allow_network: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CIDR", help="Addresses to fetch from although they are not public, with --walk."
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Check manifests for a run here: form, node types, params, connections; every problem is told.

    Nothing is run, and nothing is fetched unless asked for. Exits with 1 where a manifest has a problem.
    """
    from rpe.errors import ManifestInvalid

    broken = 0
    for file in files:
        try:
            summary = _checked(file, walk, tuple(allow_network or ()))
        except ManifestInvalid as error:
            broken += 1
            typer.echo(f"{file}: {len(error.problems) or 1} problems", err=True)
            for problem in error.problems or (error.message,):
                typer.echo(f"  {problem}", err=True)
        else:
            typer.echo(f"{file}: good ({summary})")
    if broken:
        raise typer.Exit(1)


@manifest.command()
@told
def schema(
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it to this file instead of printing it.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Print the JSON Schema of manifests, for completion and checks in an editor."""
    from rpe.cli.schema import print_schema
    from rpe.manifest.schema import manifest_schema

    print_schema(manifest_schema(), out)


def _checked(file: Path, walk: bool, networks: tuple[str, ...]) -> str:
    from rpe.errors import ManifestInvalid
    from rpe.manifest.model import Manifest
    from rpe.manifest.texts import read_manifest_file
    from rpe.node.problems import manifest_problems

    raw = read_manifest_file(file)
    if problems := manifest_problems(raw):
        raise ManifestInvalid(f"{file} is not valid", problems=problems)
    manifest = Manifest.from_dict(raw)
    summary = f"{len(manifest.nodes)} nodes, {len(manifest.connections)} connections"
    if not walk:
        return summary
    import asyncio

    pipelines, depth = asyncio.run(_walked(manifest, networks))
    return f"{summary}, {pipelines} pipelines, {depth} hops deep"


async def _walked(manifest: object, networks: tuple[str, ...]) -> tuple[int, int]:
    import os

    from rpe.manifest.cycles import find_remote_cycles
    from rpe.manifest.model import Manifest
    from rpe.manifest.sources import FetchSettings, ManifestFetcher

    assert isinstance(manifest, Manifest)
    async with ManifestFetcher(FetchSettings(allowed_networks=networks)) as fetcher:
        walk = await find_remote_cycles(manifest, fetcher.fetch, environment=os.environ)
    return len(walk.pipelines), walk.depth
