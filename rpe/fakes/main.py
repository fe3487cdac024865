"""A fake server as a process of its own: `python -m rpe.fakes.main [TRANSPORT]`, driven by JSON lines.

Its first line on stdout is `{"warm": true}`: everything is imported. The first line on
stdin is its configuration, the keyword arguments of `FakeServer` with certificates as
text, and answered by `{"ready": "HOST:PORT"}` or `{"error": "..."}`. Each further line
is a command, answered by `{"done": true}` or `{"error": "..."}`:

    {"do": "set_behaviour", "behaviour": {...}}
    {"do": "stop", "grace_s": 1.5}

It ends by itself when stdin closes, and is killed by the system (Linux) with the
process that started it, also while it is paused: nothing is left of a dead parent.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import stat
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from rpe.errors import RpeError
from rpe.fakes.brain import Brain
from rpe.fakes.server import FakeServer
from rpe.transport.registry import get_transport

__all__ = ["main", "read_config"]

LINE_LIMIT = 16 * 1024 * 1024
"""The longest line on a pipe, in bytes."""

_PR_SET_PDEATHSIG = 1
_PEM = ("certificate_chain", "private_key", "client_root_certificates")


def read_config(config: dict[str, Any]) -> FakeServer:
    """Make the fake that a configuration describes, importing the modules of its own nodes first."""
    config = dict(config)
    for module in config.pop("modules", ()):
        import_module(module)
    for name in _PEM:
        if config.get(name) is not None:
            config[name] = config[name].encode()
    if config.get("journal_path") is not None:
        config["journal_path"] = Path(config["journal_path"])
    return FakeServer(**config)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(LINE_LIMIT)
    pipe, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    loop.add_signal_handler(signal.SIGTERM, reader.feed_eof)
    try:
        if not (line := await reader.readline()):
            return
        try:
            fake = read_config(json.loads(line))
            await fake.start()
        except (RpeError, ImportError, OSError) as error:
            _say(error=str(error))
            return
        try:
            _say(ready=fake.endpoint)
            while line := await reader.readline():
                command = json.loads(line)
                try:
                    if command["do"] == "stop":
                        await fake.stop(command["grace_s"])
                        return
                    await fake.set_behaviour(command["behaviour"])
                except RpeError as error:
                    _say(error=str(error))
                else:
                    _say(done=True)
        finally:
            await fake.stop()
    finally:
        pipe.close()


def _say(**words: Any) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run the process from its first line to its last."""
    mode = os.fstat(sys.stdin.fileno()).st_mode
    if not stat.S_ISFIFO(mode) and not stat.S_ISSOCK(mode):
        sys.exit("rpe.fakes.main takes its orders from a pipe on stdin: see rpe.fakes.FakeProcess")
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # Ctrl-C reaches the whole group of processes; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What makes a server is imported by the wire when it makes one: have that done now.
    get_transport(sys.argv[1] if len(sys.argv) > 1 else "grpc").create_server(Brain(), {})
    _say(warm=True)
    asyncio.run(_serve())


if __name__ == "__main__":
    main()
