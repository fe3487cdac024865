"""The commands of `rpe`, each from its own file."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import Annotated

import typer

import rpe
from rpe.cli.conform import conform
from rpe.cli.doctor import doctor
from rpe.cli.fake_definitions import fakes
from rpe.cli.load import loads
from rpe.cli.manifest import manifest
from rpe.cli.proxy import proxy
from rpe.cli.recheck import recheck
from rpe.cli.relay import relay
from rpe.cli.run import run
from rpe.cli.schema import schema
from rpe.cli.serve import serve

__all__ = ["app", "main"]

app = typer.Typer(
    name="rpe",
    help="Prove that a client survives what its servers do: scripted faults, judged and reported.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for _command in (run, recheck, schema, proxy, relay, serve, conform, doctor):
    app.command()(_command)
app.add_typer(manifest)
app.add_typer(fakes, name="fake")
app.add_typer(loads, name="load")


@app.command()
def version() -> None:
    """Print the version of rpe."""
    typer.echo(rpe.__version__)


def _print_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version of rpe."),
    ] = False,
) -> None:
    """Take the options that stand before the command."""


def main() -> None:
    """Run the command that the process was started with, and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a sign that a terminal lacks is no reason to fail
    app(prog_name="rpe")
