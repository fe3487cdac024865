"""Ending in good order when the terminal or the system says so."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["ending_signals"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def ending_signals() -> Iterator[asyncio.Event]:
    """Inside, SIGINT and SIGTERM set the event that this gives, instead of ending the process.

    Must be entered on the main thread, in a running loop. On leaving, the signals do again what
    Python lets them do.
    """
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, ending.set)
    try:
        yield ending
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
