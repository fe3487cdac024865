"""What a workload sends, piece by piece."""

from __future__ import annotations

from typing import Protocol

from rpe.chaos.workload.plan import WorkloadPlan
from rpe.chaos.workload.recordings import Recordings
from rpe.chaos.workload.speech import Speech
from rpe.chaos.workload.texts import Texts
from rpe.data import RuntimeData

__all__ = ["Pieces", "pieces_of"]


class Pieces(Protocol):
    """An endless row of pieces, no two of a run alike."""

    def piece(self, number: int) -> RuntimeData:
        """Return a piece by its number, from 0."""
        ...


def pieces_of(workload: WorkloadPlan) -> Pieces:
    """Return the pieces that a workload sends; recordings are read here, and not while it runs."""
    match workload.input:
        case "speech":
            return Speech(workload.chunk_ms)
        case "recordings":
            return Recordings()
        case "text":
            return Texts()
