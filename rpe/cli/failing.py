"""How a command ends that cannot do what it was asked: a clear message, and the right exit code.

Wrong use is 2: a file, an option or an address that the reader can mend. A fault of our own
is 3, like every run that judged nothing: Python's own exit code for it, 1, would read as a
verdict.
"""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from typing import Annotated, ParamSpec

import typer

from rpe.errors import RpeError, redact

__all__ = ["UNKNOWN", "WRONG_USE", "Debug", "explained", "told"]

P = ParamSpec("P")

WRONG_USE = 2
UNKNOWN = 3

Debug = Annotated[bool, typer.Option("--debug", help="Show where in the code an error came from.")]


def told(command: Callable[P, None]) -> Callable[P, None]:
    """Wrap a command: what it raises is explained on standard error, and becomes its exit code.

    The command takes `debug`, which adds the traceback.
    """

    @functools.wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except (typer.Exit, typer.Abort, typer.BadParameter, BrokenPipeError):
            raise
        except Exception as error:
            if kwargs.get("debug"):
                typer.echo(redact("".join(traceback.format_exception(error))), err=True)
            message, code = explained(error)
            typer.echo(message, err=True)
            raise typer.Exit(code) from error

    return wrapper


def explained(error: Exception) -> tuple[str, int]:
    """Return what to tell of an error, and the exit code that it ends the command with."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, RpeError):
        return f"rpe: {redact(str(error))}", WRONG_USE
    if isinstance(error, ModuleNotFoundError) and not (error.name or "rpe").startswith("rpe"):
        return (
            f"rpe: the package {error.name} is missing\n  hint: `rpe doctor` says what to install",
            WRONG_USE,
        )
    if isinstance(error, OSError) and error.strerror:
        where = f" ({error.filename})" if error.filename else ""
        return f"rpe: {error.strerror}{where}", WRONG_USE
    hint = "this is a fault of rpe itself; run the command again with --debug and report what it shows"
    return f"rpe: {type(error).__name__}: {redact(str(error))}\n  hint: {hint}", UNKNOWN
