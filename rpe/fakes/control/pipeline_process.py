"""A pipeline from a file that a person or a container starts, and SIGTERM or Ctrl-C ends."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rpe.fakes.control.hosting import ControlPort, controlled, say
from rpe.fakes.control.reloading import follow_files, follow_until, hang_ups
from rpe.fakes.pipelines import PipelineFake, load_pipeline
from rpe.signals import ending_signals

if TYPE_CHECKING:
    from rpe.fakes.control.pipelines import ControlledPipeline
    from rpe.transport.grpc_binding import Tls

__all__ = ["serve_pipeline"]


async def serve_pipeline(
    path: Path,
    ports: Mapping[str, int],
    *,
    host: str = "127.0.0.1",
    tls: Tls | None = None,
    journal: Path | None = None,
    seed: int = 0,
    allow_scripts: bool = False,
    watch: bool = True,
    control: ControlPort | None = None,
) -> None:
    """Serve the pipeline of a file on these wires until SIGINT or SIGTERM.

    One line on standard output for each wire says where, once calls are taken. The file is read anew
    when it changes (with `watch`) and on SIGHUP; what is wrong with it is told on standard error, and
    what was served before stays. Raises ConfigurationError at once where the file is wrong or a port
    is taken.
    """
    controls: ControlledPipeline | None = None
    with ending_signals() as ending, hang_ups() as asked:
        fake = PipelineFake(
            load_pipeline(path),
            ports,
            host=host,
            seed=seed,
            journal_path=journal,
            tls=None if tls is None else tls[:2],
            client_root_certificates=None if tls is None else tls[2],
            allow_scripts=allow_scripts,
        )

        def control_it() -> ControlledPipeline:
            nonlocal controls
            from rpe.fakes.control.pipelines import ControlledPipeline

            controls = ControlledPipeline(fake, lambda: fake.endpoints)
            return controls

        async def reload() -> str:
            fake.replace(await asyncio.to_thread(load_pipeline, path))
            if controls is not None:
                controls.adopt()
            return f"{path} was read anew (pipeline {fake.definition.name})"

        async with fake:
            say(fake.endpoints, f"pipeline {fake.definition.name}, seed {seed}")
            async with controlled(control, control_it):
                following = follow_files(lambda: [path], reload, asked=asked, watch=watch)
                await follow_until(ending, following)
