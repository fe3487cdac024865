"""`rpe conform`: the fidelity checks against a server that runs, of any make."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from rpe.cli.failing import UNKNOWN, Debug, told
from rpe.errors import ConfigurationError

__all__ = ["conform"]


@told
def conform(
    endpoint: Annotated[
        str | None,
        typer.Argument(metavar="ENDPOINT", help="host:port, or an http:// URL.", show_default=False),
    ] = None,
    transport: Annotated[str, typer.Option(help="The wire: grpc, http or webrtc.")] = "grpc",
    node: Annotated[
        str | None,
        typer.Option(
            metavar="TYPE",
            help="A node type that gives back what it gets. Default: Echo, or else PassThrough.",
        ),
    ] = None,
    token_env: Annotated[
        str | None, typer.Option(metavar="NAME", help="An environment variable that holds the bearer token.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Make this check only; may be repeated.")
    ] = None,
    limit: Annotated[
        float, typer.Option(min=0.01, metavar="SECONDS", help="How long each check may take.")
    ] = 2.0,
    silence: Annotated[
        float | None,
        typer.Option(
            min=0, metavar="SECONDS", help="How long an output of HTTP may be silent; checked where given."
        ),
    ] = None,
    list_checks: Annotated[
        bool, typer.Option("--list", help="Print the checks of the wire, and make none.")
    ] = False,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a JUnit report.")] = None,
    markdown: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the page in Markdown.")] = None,
    debug: Debug = False,
) -> None:
    """Check whether a pipeline server, real or fake, keeps the contract of its wire.

    Ends with 0 where no check failed, 1 where one did, 2 for wrong use and where nothing
    listens, and 3 where no check applied.
    """
    import asyncio

    from rpe.cli.writing import ReportFiles
    from rpe.testing.fidelity.running import check_server
    from rpe.testing.fidelity.suite import checks_of

    if list_checks:
        for check in checks_of(transport, only or ()):
            typer.echo(f"{check.name}\n    {check.proves}\n    {check.contract}")
        return
    if endpoint is None:
        raise ConfigurationError("there is no server to check", hint="name its address, or ask for --list")
    token = None
    if token_env is not None and not (token := os.environ.get(token_env)):
        raise ConfigurationError(f"the environment variable {token_env} is not set, or empty")
    ReportFiles(junit, markdown).prepare()
    report = asyncio.run(
        check_server(endpoint, transport, node, token, only or (), limit_s=limit, silence_s=silence)
    )
    typer.echo(report.text())
    if junit is not None:
        junit.write_text(report.junit(), encoding="utf-8")
    if markdown is not None:
        markdown.write_text(report.markdown(), encoding="utf-8")
    raise typer.Exit(0 if report.passed else 1 if report.failed else UNKNOWN)
