"""`rpe schema`: what a scenario file may say, for editors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from rpe.cli.failing import Debug, told

__all__ = ["print_schema", "schema"]


@told
def schema(
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it to this file instead of printing it.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Print the JSON Schema of scenario files, for completion and checks in an editor."""
    from rpe.chaos.scenario.schema import json_schema

    print_schema(json_schema(), out)


def print_schema(schema: Mapping[str, Any], out: Path | None) -> None:
    """Print a schema, or write it to a file."""
    import json

    text = json.dumps(schema, indent=2) + "\n"
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
