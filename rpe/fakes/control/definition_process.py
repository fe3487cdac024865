"""A fake of definitions that a person or a container starts, and SIGTERM or Ctrl-C ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any

from rpe.errors import ConfigurationError
from rpe.fakes.control.hosting import ControlPort, controlled, say
from rpe.fakes.control.reloading import follow_files, follow_until, hang_ups
from rpe.fakes.control.rewriting import definition_files, read_forms, source_files
from rpe.fakes.definition.calls import Call
from rpe.fakes.definition.fake import ProtoFake
from rpe.fakes.definition.loading import Definitions, load_definitions
from rpe.signals import ending_signals
from rpe.transport.grpc_binding import Tls

__all__ = ["serve"]

KEPT_CALLS = 1_000
"""How many calls are kept where somebody can ask for them."""


async def serve(
    definition: Path,
    *,
    host: str = "127.0.0.1",
    port: int | None = 0,
    http_port: int | None = None,
    tls: Tls | None = None,
    journal: Path | None = None,
    seed: int = 0,
    watch: bool = True,
    channelz: bool = False,
    control: ControlPort | None = None,
) -> None:
    """Serve a definition's file, or a folder of them, until SIGINT or SIGTERM.

    One line on standard output for each wire says where, once calls are taken. The files are read
    anew when they change (with `watch`) and on SIGHUP; what is wrong with them is told on standard
    error, and what was served before stays. Raises ConfigurationError at once where the definition
    is wrong or a port is taken.
    """
    chain, key, roots = tls or (None, None, None)
    with ending_signals() as ending, hang_ups() as asked:
        fake = ProtoFake(
            load_definitions(definition),
            host=host,
            port=port,
            http_port=http_port,
            # Where nobody can ask for calls none is kept: a fake may run for days.
            journal_limit=KEPT_CALLS if control is not None or journal is not None else 0,
            channelz=channelz,
            certificate_chain=chain,
            private_key=key,
            client_root_certificates=roots,
            seed=seed,
        )
        served = _Served(fake, definition)
        async with _written(fake, journal), fake:
            say(served.endpoints(), ", ".join(fake.services))
            async with controlled(control, served.controlled):
                await follow_until(
                    ending, follow_files(served.files, served.reload, asked=asked, watch=watch)
                )


class _Served:
    """A running fake and the files that it is of."""

    def __init__(self, fake: ProtoFake, path: Path) -> None:
        self._fake = fake
        self._path = path
        self._controlled: Any = None
        self._sources = source_files(definition_files(path))

    def endpoints(self) -> dict[str, str]:
        """Return where the fake listens, by wire."""
        found = {"grpc": self._fake.endpoint, "http": self._fake.http_endpoint}
        return {wire: endpoint for wire, endpoint in found.items() if endpoint}

    def controlled(self) -> Any:
        """Return the fake as the control API has it; from now on it is changed through that."""
        from rpe.fakes.control.definitions import ControlledDefinitions

        folder = self._path if self._path.is_dir() else self._path.parent
        self._controlled = ControlledDefinitions(
            self._fake, self.endpoints, read_forms(self._path), folder.resolve()
        )
        return self._controlled

    def files(self) -> list[Path]:
        """Return the files of the definitions, and of the contracts that they name."""
        return [*definition_files(self._path), *self._sources]

    async def reload(self) -> str:
        """Read the files and serve what they say; protoc does not keep running calls waiting."""
        self._sources = source_files(definition_files(self._path))
        definitions: Definitions = await asyncio.to_thread(load_definitions, self._path)
        if self._controlled is None:
            self._fake.replace(definitions)
        else:
            self._controlled.adopt(definitions, read_forms(self._path))
        return f"{self._path} was read anew ({', '.join(self._fake.services)})"


class _Writer:
    """Writes each call that has ended to a file, as a line of JSON."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def began(self, call: Call) -> None:
        """Do nothing yet."""

    def ended(self, call: Call) -> None:
        """Write the call down."""
        from rpe.fakes.control.call_forms import call_form

        self._file.write(json.dumps(call_form(call)) + "\n")


@asynccontextmanager
async def _written(fake: ProtoFake, journal: Path | None) -> AsyncIterator[None]:
    """Inside, calls are written to a file, where one is given; it is complete when a call has ended."""
    if journal is None:
        yield
        return
    try:
        file = journal.open("a", encoding="utf-8", buffering=1)
    except OSError as error:
        raise ConfigurationError(f"the journal cannot be written: {error}") from error
    with file:
        fake.observe(_Writer(file))
        yield
