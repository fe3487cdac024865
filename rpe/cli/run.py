"""`rpe run`: scenarios run, judged and reported."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rpe.cli.failing import Debug, told

__all__ = ["run"]


@told
def run(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATH",
            help="Scenario files, or folders of them. Default: scenarios/ here, else the built-in ones.",
            show_default=False,
        ),
    ] = None,
    proxy: Annotated[
        str,
        typer.Option(
            metavar="embedded|URL",
            envvar="RPE_TOXIPROXY_URL",
            help="The fault proxy: our own, or the API of a Toxiproxy.",
        ),
    ] = "embedded",
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="The root of all chance. Default: drawn, and printed.")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("-j", "--jobs", metavar="N", min=1, help="Cells at a time. Default: by the cores."),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the run folders are made.")] = Path("runs"),
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a JUnit report.")] = None,
    markdown: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page in Markdown.")] = None,
    chosen: Annotated[
        str,
        typer.Option(
            "--filter",
            metavar="EXPR",
            help="Only cells with these words in name, theme or values: 'latency and not (grpc or slow)'.",
            show_default=False,
        ),
    ] = "",
    last_failed: Annotated[
        bool, typer.Option("--last-failed", help="Only cells whose last run in --out did not pass.")
    ] = False,
    client: Annotated[
        str, typer.Option(metavar="NAME|MODULE:FACTORY", help="The client under test.")
    ] = "rpe",
    listed: Annotated[bool, typer.Option("--list", help="Show the cells, and run nothing.")] = False,
    debug: Debug = False,
) -> None:
    """Run scenarios, and judge whether the client under test survived them.

    Ends with 0 where every cell passed, 1 where one failed, 2 for wrong use, and 3 where
    something could not be told; the worst wins.
    """
    from rpe.cli.selecting import listing, select, which_did_not_pass

    selected = select(paths or [], chosen)
    if last_failed:
        selected = which_did_not_pass(selected, out)
    if listed:
        typer.echo(listing(selected))
        return

    from rpe.cli.running import Request, run_selected
    from rpe.cli.writing import ReportFiles

    request = Request(
        selected=selected,
        proxy=proxy,
        client=client,
        seed=seed,
        jobs=jobs,
        out=out,
        files=ReportFiles(junit, markdown),
    )
    raise typer.Exit(run_selected(request))
