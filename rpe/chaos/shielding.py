"""Work that is brought to its end although the task that asked for it is cancelled: healing, stopping."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["bring_to_end"]

Result = TypeVar("Result")


async def bring_to_end(work: Coroutine[Any, Any, Result]) -> Result:
    """Run `work` to its end and return its result, however often the caller is cancelled meanwhile.

    The work has to be bounded in time by itself, for nothing here interrupts it. A
    cancellation is not lost: it is raised once the work is done. Where both happened, the
    error of the work is the cause of the CancelledError, so that neither is swallowed.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled from (None if task.cancelled() else task.exception())
    return task.result()
