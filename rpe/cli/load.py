"""`rpe load`: load tests by a plan (YAML) or a locustfile (Python), and what is done with their runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from rpe.cli.failing import Debug, told
from rpe.cli.load_compare import compare_loads

__all__ = ["loads"]

PASSING_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
"""The settings of a command that hands on what it does not know."""

Endpoints = Annotated[
    list[str] | None,
    typer.Option("--endpoint", metavar="HOST:PORT", help="A server of the pool; may be given several times."),
]

_COMMAND_OF = {".py": "locust", ".yaml": "plan", ".yml": "plan"}


class _ByFile(TyperGroup):
    """A group in which a file stands for the command that it is for."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            kinds = (_COMMAND_OF.get(Path(arg).suffix) for arg in args)
            args = [next(filter(None, kinds), "locust"), *args]
        return super().parse_args(ctx, args)


loads = typer.Typer(
    cls=_ByFile,
    no_args_is_help=True,
    help="Make load: `rpe load FILE.yaml` runs a load plan, `rpe load FILE.py` starts Locust with that file.",
)
"""The command `rpe load` with its own commands; a file in their place says which is meant."""


@told
def load(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A locustfile; it comes first.")],
    endpoint: Endpoints = None,
    transport: Annotated[str, typer.Option(help="The wire; without it, the one that the file names.")] = "",
    debug: Debug = False,
) -> None:
    """Make load with Locust: each other option is Locust's own, such as --headless -u 8 -r 8 -t 30s."""
    import os
    import sys

    chosen = {"RPE_ENDPOINTS": ",".join(endpoint or ()), "RPE_TRANSPORT": transport}
    _require_locust()
    environment = os.environ | {name: value for name, value in chosen.items() if value}
    # Locust takes the place of this process, so that signals and the exit code are its own.
    command = [sys.executable, "-m", "locust", "-f", str(file), *context.args]
    os.execve(sys.executable, command, environment)


loads.command("locust", context_settings=PASSING_ON)(load)


@loads.command("plan")
@told
def run_plan(
    file: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="A load plan.", show_default=False)],
    endpoint: Endpoints = None,
    transport: Annotated[str, typer.Option(help="The wire; without it, that of the plan.")] = "",
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, max=64, help="Locust's workers; 0 for a single process."),
    ] = None,
    repeat: Annotated[int, typer.Option(metavar="K", min=1, help="Run it so many times.")] = 1,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="The root of all chance. Default: drawn, and printed.")
    ] = None,
    proxy: Annotated[
        str,
        typer.Option(
            metavar="embedded|URL",
            envvar="RPE_TOXIPROXY_URL",
            help="The fault proxy: our own, or the API of a Toxiproxy.",
        ),
    ] = "embedded",
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the run folder is made.")] = Path(
        "runs/load"
    ),
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a JUnit report.")] = None,
    markdown: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the page in Markdown.")] = None,
    debug: Debug = False,
) -> None:
    """Run a load plan: servers, load, faults and gates from one file.

    Ends with 0 where every run passed, 1 where one failed, 2 for wrong use, and 3 where
    something could not be told; the worst wins.
    """
    from rpe.cli.load_running import LoadRequest, run_load
    from rpe.cli.running import draw_seed
    from rpe.cli.writing import ReportFiles
    from rpe.loadtest.overriding import overridden
    from rpe.loadtest.reading import read_plan

    _require_locust()
    plan = overridden(read_plan(file), endpoints=endpoint or (), transport=transport, workers=workers)
    request = LoadRequest(
        plan=plan,
        path=file,
        out=out,
        seed=draw_seed() if seed is None else seed,
        proxy=proxy,
        repeat=repeat,
        files=ReportFiles(junit, markdown),
    )
    raise typer.Exit(run_load(request))


@loads.command("recheck")
@told
def recheck_loads(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="DIR", help="Run folders, or folders of run folders.", show_default=False),
    ],
    debug: Debug = False,
) -> None:
    """Judge saved load runs again, and compare with the verdicts stored there.

    Ends with 1 where a stored verdict differs, else as the runs would.
    """
    from rpe.cli.load_running import recheck_load

    raise typer.Exit(recheck_load(folders))


@loads.command("schema")
@told
def load_schema(
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it to this file instead of printing it.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Print the JSON Schema of load plans, for completion and checks in an editor."""
    from rpe.cli.schema import print_schema
    from rpe.loadtest.schema import json_schema

    print_schema(json_schema(), out)


loads.command("compare")(compare_loads)


def _require_locust() -> None:
    """Raises ConfigurationError where Locust is not installed."""
    from importlib.util import find_spec

    from rpe.errors import ConfigurationError

    if find_spec("locust") is None:
        raise ConfigurationError("Locust is not installed", hint="pip install 'rpe[load]'")
