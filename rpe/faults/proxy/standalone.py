"""The fault proxy as a process of its own."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from rpe.errors import ConfigurationError
from rpe.faults.proxy.embedded import EmbeddedProxy
from rpe.signals import ending_signals

__all__ = ["LoopName", "run", "serve"]

LoopName = Literal["asyncio", "uvloop"]


def run(
    host: str = "127.0.0.1",
    port: int = 8474,
    *,
    seed: int = 0,
    config: Path | None = None,
    metrics: bool = False,
    loop: LoopName = "asyncio",
) -> None:
    """Serve on an event loop of the named kind until SIGINT or SIGTERM; see `serve`.

    Raises ConfigurationError, also where uvloop is asked for and not installed.
    """
    with asyncio.Runner(loop_factory=_loop_factory(loop)) as runner:
        runner.run(serve(host, port, seed=seed, config=config, metrics=metrics))


async def serve(
    host: str = "127.0.0.1",
    port: int = 8474,
    *,
    seed: int = 0,
    config: Path | None = None,
    metrics: bool = False,
) -> None:
    """Serve until SIGINT or SIGTERM; one line with the URL on standard output says that it does.

    Arguments are those of EmbeddedProxy. Raises ConfigurationError at once if the port is taken
    or the configuration file is broken. On return all listeners and connections are closed.
    """
    with ending_signals() as ending:
        async with EmbeddedProxy(host=host, port=port, seed=seed, config=config, metrics=metrics) as proxy:
            sys.stdout.write(f"rpe proxy serves Toxiproxy's API at {proxy.url} (seed {seed})\n")
            sys.stdout.flush()
            await ending.wait()


def _loop_factory(name: LoopName) -> Callable[[], asyncio.AbstractEventLoop]:
    if name == "asyncio":
        return asyncio.new_event_loop
    try:
        uvloop = importlib.import_module("uvloop")
    except ImportError as error:
        raise ConfigurationError("uvloop is not installed", hint="pip install 'rpe[speed]'") from error
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
