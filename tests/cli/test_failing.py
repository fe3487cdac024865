from __future__ import annotations

import pytest
import typer

from rpe.cli.failing import explained, told
from rpe.errors import ConfigurationError, ConnectFailed


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("no such thing"), 2),
        (ConnectFailed("refused", endpoint="127.0.0.1:1"), 2),
        (FileNotFoundError(2, "No such file or directory", "x.yaml"), 2),
        (ModuleNotFoundError("No module named 'grpc'", name="grpc"), 2),
        (ZeroDivisionError("division by zero"), 3),
        (ModuleNotFoundError("No module named 'rpe.nothing'", name="rpe.nothing"), 3),
    ],
)
def test_the_exit_code_tells_the_readers_mistakes_from_ours(error: Exception, code: int) -> None:
    assert explained(error)[1] == code


def test_a_missing_package_is_named_with_what_to_do() -> None:
    message, _ = explained(ModuleNotFoundError("No module named 'grpc'", name="grpc"))
    assert "grpc is missing" in message and "rpe doctor" in message


def test_credentials_do_not_appear() -> None:
    assert "hunter2" not in explained(ConfigurationError("token=hunter2"))[0]
    assert "hunter2" not in explained(RuntimeError("Bearer hunter2"))[0]


@told
def command(what: str, debug: bool = False) -> None:
    if what == "raise":
        raise ConfigurationError("token=hunter2")
    if what == "exit":
        raise typer.Exit(3)


def test_a_command_that_raises_ends_with_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as end:
        command("raise")
    assert end.value.exit_code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_debug_adds_the_traceback_but_no_credentials(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        command("raise", debug=True)
    err = capsys.readouterr().err
    assert "Traceback" in err and "hunter2" not in err


def test_a_command_that_ends_by_itself_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    command("nothing")
    with pytest.raises(typer.Exit) as end:
        command("exit")
    assert end.value.exit_code == 3
    assert capsys.readouterr().err == ""
