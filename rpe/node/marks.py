"""Which item an output answers, where a node that drives itself has taken others since.

What a node gives belongs to the item it took last, unless it says otherwise here. It matters where
the run is asked for what belongs together (`rpe.node.tagged`), and costs nothing elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, cast

__all__ = ["UNMARKED", "answered", "answering", "take", "taken"]

UNMARKED: Final = cast("Any", object())
"""The mark of no item in particular."""

_TAKEN: ContextVar[Any] = ContextVar("rpe_item_taken", default=UNMARKED)
_ANSWERED: ContextVar[Any] = ContextVar("rpe_item_answered", default=UNMARKED)


def taken() -> Any:
    """The mark of the item that this task took last, or took before it began this task."""
    return _TAKEN.get()


@contextmanager
def answering(mark: Any) -> Iterator[None]:
    """Inside, what this task emits belongs to the item with this mark (UNMARKED: to the one taken last)."""
    token = _ANSWERED.set(mark)
    try:
        yield
    finally:
        _ANSWERED.reset(token)


def take(mark: Any) -> None:
    """This task has taken an item with this mark (called by what hands items out)."""
    _TAKEN.set(mark)


def answered(default: Any) -> Any:
    """The mark that what is now emitted has (called by what takes it)."""
    mark = _ANSWERED.get()
    return default if mark is UNMARKED else mark
