"""`rpe doctor`: what is installed, what is missing, and how to get it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from rpe.cli.failing import Debug, told

if TYPE_CHECKING:
    from rpe.cli.installed import Finding

__all__ = ["doctor", "report"]


@told
def doctor(debug: Debug = False) -> None:
    """Show what is installed, what is missing, what it is for and how to get it.

    Ends with 1 where something is missing that `rpe run` needs, else with 0.
    """
    from rpe.cli.installed import look_around

    text, ready = report(look_around())
    typer.echo(text)
    if not ready:
        raise typer.Exit(1)


def report(findings: Sequence[Finding]) -> tuple[str, bool]:
    """Return the findings as text, and whether all that `rpe run` needs is there."""
    width = max((len(finding.name) for finding in findings), default=0)
    lines: list[str] = []
    group = None
    for finding in findings:
        if finding.group != group:
            group = finding.group
            lines += ["", group] if lines else [group]
        lines.append(_line(finding, width))
    missing = [finding.name for finding in findings if finding.missing and finding.needed]
    verdict = (
        f"`rpe run` cannot run: {', '.join(missing)} missing." if missing else "`rpe run` has all it needs."
    )
    return "\n".join([*lines, "", verdict]), not missing


def _line(finding: Finding, width: int) -> str:
    name = finding.name.ljust(width)
    if finding.missing:
        need = "missing" if finding.needed else "missing (optional)"
        return f"  ✗ {name}  {need}; for {finding.purpose}; get it: {finding.how}"
    return f"  ✓ {name}  {finding.version or 'version not told'}"
