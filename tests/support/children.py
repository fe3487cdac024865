"""Which processes run below the test: only those of one kind, since other tests may keep theirs."""

from __future__ import annotations

import psutil

__all__ = ["running"]


def running(module: str) -> list[psutil.Process]:
    """Return the processes below this one that run `python -m module`."""
    return [child for child in psutil.Process().children(recursive=True) if module in _command(child)]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it ended meanwhile
        return []
