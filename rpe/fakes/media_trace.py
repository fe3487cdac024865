"""The trace of what faults of audio did, from a journal: given to a fake again, they happen again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from rpe.fakes.journal import Entry, Kind

__all__ = ["media_trace"]


def media_trace(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """Return each fault of audio that fired, in order, as a fault by count.

    It is what `{"media": {"trace": [...]}}` takes. `call` in it counts calls since the
    script was set, so give it the entries of one script.
    """
    return [
        json.loads(entry.detail)
        for entry in entries
        if entry.kind is Kind.FAULT and entry.fault.startswith("media_")
    ]
