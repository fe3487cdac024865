"""The files that `rpe run` writes its report to."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from rpe.errors import ConfigurationError
from rpe.report.cell import CellReport
from rpe.report.junit import junit_xml
from rpe.report.markdown import markdown
from rpe.report.step_summary import append_step_summary

__all__ = ["ReportFiles", "make_folder"]


@dataclass(frozen=True, slots=True)
class ReportFiles:
    """Where the report is written to, beside the terminal; None for nowhere."""

    junit: Path | None = None
    markdown: Path | None = None

    def prepare(self) -> None:
        """Make the folders of the files: what cannot be written is told before a run, not after it.

        Raises ConfigurationError.
        """
        for file in (self.junit, self.markdown):
            if file is not None:
                _prepare(file)

    def write(self, reports: Sequence[CellReport], *, seed: int, environment: Mapping[str, str]) -> None:
        """Write the files; and in GitHub Actions, the summary of the step.

        Raises OSError where a file that was asked for cannot be written; a summary that
        cannot be written is only told.
        """
        if self.junit is not None:
            self.junit.write_text(junit_xml(reports), encoding="utf-8")
        if self.markdown is not None:
            self.markdown.write_text(markdown(reports, seed=seed), encoding="utf-8")
        try:
            append_step_summary(reports, seed=seed, environment=environment)
        except OSError as error:
            typer.echo(f"rpe: the summary of this step was not written: {error}", err=True)


def make_folder(folder: Path) -> None:
    """Make a folder, and those that it is in; raises ConfigurationError where that cannot be done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"the folder {folder} cannot be made: {error.strerror}", hint="name a folder of yours"
        ) from error


def _prepare(file: Path) -> None:
    if file.is_dir():
        raise ConfigurationError(f"{file} is a folder", hint="name the file to write")
    make_folder(file.parent)
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise ConfigurationError(f"{file} cannot be written", hint="name a file in a folder of yours")
