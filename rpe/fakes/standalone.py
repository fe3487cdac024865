"""A fake server that a person starts, and stops with Ctrl-C."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from rpe.errors import ConfigurationError
from rpe.fakes.control.hosting import ControlPort, controlled, say
from rpe.fakes.server import FakeServer
from rpe.lined_yaml import problem_of
from rpe.signals import ending_signals

if TYPE_CHECKING:
    from rpe.fakes.control.pipelines import ControlledPipeline

__all__ = ["read_script", "serve"]


def read_script(file: Path) -> Mapping[str, Any]:
    """Read a behaviour script from a YAML or JSON file. Raises ConfigurationError naming the file."""
    try:
        script = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        # The parser's whole text quotes the line, which may hold a token.
        told = problem_of(error)
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f" in line {mark.line + 1}"
        raise ConfigurationError(f"{file} is not YAML{where}: {told}") from None
    if script is None:
        return {}
    if not isinstance(script, Mapping):
        raise ConfigurationError(
            f"{file} does not hold a script", hint="it is a mapping, such as `hang: {rate: 0.1}`"
        )
    return script


async def serve(
    *,
    name: str = "a",
    transport: str = "grpc",
    host: str = "127.0.0.1",
    port: int = 0,
    behaviour: Path | None = None,
    journal: Path | None = None,
    seed: int = 0,
    tls: tuple[bytes, bytes] | None = None,
    allow_scripts: bool = False,
    control: ControlPort | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; one line with the address on standard output says that it does.

    Arguments are those of FakeServer, the script from a file, `tls` its certificate chain and key;
    with `control` the control API is served beside it. Raises ConfigurationError at once
    where the port is taken or the script is wrong. On return the journal's file is complete.
    """
    script = {} if behaviour is None else read_script(behaviour)
    chain, key = tls or (None, None)
    with ending_signals() as ending:
        fake = FakeServer(
            name,
            transport,
            script,
            host=host,
            port=port,
            seed=seed,
            journal_path=journal,
            certificate_chain=chain,
            private_key=key,
            allow_scripts=allow_scripts,
        )
        async with fake:
            say({transport: fake.endpoint}, f"seed {seed}", name)
            async with controlled(control, lambda: _controlled(fake)):
                await ending.wait()


def _controlled(fake: FakeServer) -> ControlledPipeline:
    from rpe.fakes.control.pipelines import ControlledPipeline

    return ControlledPipeline(fake, lambda: {fake.transport: fake.endpoint})
