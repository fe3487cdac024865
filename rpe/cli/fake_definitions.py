"""`rpe fake` with its own commands: fakes of any service from its contract, and pipelines from files."""

from __future__ import annotations

import typer

from rpe.cli.fake import fake
from rpe.cli.fake_generate import generate
from rpe.cli.fake_record import record, replay
from rpe.cli.fake_serve import serve

__all__ = ["fakes"]

fakes = typer.Typer()
"""The command `rpe fake` with its own commands; called without one it is the fake pipeline server."""

fakes.callback(invoke_without_command=True)(fake)
fakes.command()(generate)
fakes.command()(serve)
fakes.command()(record)
fakes.command()(replay)
