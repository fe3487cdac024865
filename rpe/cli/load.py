"""`rpe load`: Locust, started so that its users reach the servers that are named here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rpe.cli.failing import Debug, told

__all__ = ["PASSING_ON", "load"]

PASSING_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
"""The settings of a command that hands on what it does not know."""


@told
def load(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A locustfile; it comes first.")],
    endpoint: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST:PORT", help="A server of the pool; may be given several times."),
    ] = None,
    transport: Annotated[str, typer.Option(help="The wire; without it, the one that the file names.")] = "",
    debug: Debug = False,
) -> None:
    """Make load with Locust: each other option is Locust's own, such as --headless -u 8 -r 8 -t 30s."""
    import os
    import sys
    from importlib.util import find_spec

    from rpe.errors import ConfigurationError

    if find_spec("locust") is None:
        raise ConfigurationError("Locust is not installed", hint="pip install 'rpe[load]'")
    chosen = {"RPE_ENDPOINTS": ",".join(endpoint or ()), "RPE_TRANSPORT": transport}
    environment = os.environ | {name: value for name, value in chosen.items() if value}
    # Locust takes the place of this process, so that signals and the exit code are its own.
    command = [sys.executable, "-m", "locust", "-f", str(file), *context.args]
    os.execve(sys.executable, command, environment)
