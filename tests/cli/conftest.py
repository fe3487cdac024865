from __future__ import annotations

from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from rpe.cli.app import app


class Ended:
    """How a command ended: its exit code, and what it wrote to each stream."""

    def __init__(self, exit_code: int, out: str, err: str) -> None:
        self.exit_code = exit_code
        self.out = out
        self.err = err

    def __repr__(self) -> str:
        return f"Ended({self.exit_code}, out={self.out!r}, err={self.err!r})"


Rpe = Callable[..., Ended]


@pytest.fixture
def rpe() -> Rpe:
    """Runs `rpe` with arguments, in this process."""

    def run(*arguments: object) -> Ended:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="rpe")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ended(result.exit_code, result.stdout, result.stderr)

    return run
