"""`rpe load compare`: two load tests side by side, with the noise of their runs."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer

from rpe.cli.failing import UNKNOWN, Debug, told

if TYPE_CHECKING:
    from rpe.loadtest.comparing import Comparison, Row

__all__ = ["compare_loads"]


@told
def compare_loads(
    before: Annotated[Path, typer.Argument(metavar="A", help="A run folder: the test before.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="A run folder: the test after.")],
    tolerance: Annotated[
        float, typer.Option(metavar="PART", min=0, help="Changes up to this part are no matter: 0.05 is 5%.")
    ] = 0.0,
    debug: Debug = False,
) -> None:
    """Compare two load tests, each of several runs (`rpe load FILE.yaml --repeat 5`).

    Ends with 0 where nothing is worse, 1 where something is, and 3 where there are too few runs to tell.
    """
    from rpe.loadtest.comparing import Judgement, compare, runs_of

    comparison = compare(runs_of(before), runs_of(after), tolerance=tolerance)
    typer.echo(_table(comparison))
    codes = {Judgement.WORSE: 1, Judgement.UNKNOWN: UNKNOWN}
    raise typer.Exit(codes.get(comparison.judgement, 0))


def _table(comparison: Comparison) -> str:
    from rpe.loadtest.comparing import chance

    head = ("", "", "A", "B", "change", "")
    lines = [head, *(_line(row) for row in comparison.rows if any((*row.before, *row.after)))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    text = [
        "  ".join(
            cell.ljust(width) if column in (0, 1, 5) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    a, b = comparison.runs
    if min(a, b) < 2:
        said = f"A has {a} and B {b} runs: without two of each there is no noise to compare with"
    else:
        said = (
            f"A has {a} and B {b} runs: medians, and the least and the most. Better and worse are what lies"
            f" apart in all runs, which equal tests do in {chance(a, b):.1%} of cases, for each row."
        )
    return "\n".join([*text, "", said])


def _line(row: Row) -> tuple[str, ...]:
    change = row.change
    return (
        f"{row.kind} {row.name}",
        row.measure,
        _values(row.measure, row.before),
        _values(row.measure, row.after),
        "" if change is None else f"{change:+.1%}",
        row.judgement,
    )


def _values(measure: str, values: tuple[float, ...]) -> str:
    if not values:
        return "-"
    scale, unit = (1000, " ms") if measure.endswith("_s") and measure != "rate_per_s" else (1, "")
    middle, least, most = (f"{value * scale:.4g}" for value in (median(values), min(values), max(values)))
    return f"{middle}{unit}" if least == most else f"{middle}{unit} ({least} to {most})"
