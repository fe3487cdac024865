"""Changes nothing: what a scenario puts in a fault's place to see that it would then not pass."""

from __future__ import annotations

from dataclasses import dataclass

from rpe.faults.proxy.stage import Stage
from rpe.faults.proxy.toxic import Kind

__all__ = ["KIND", "NoopSettings"]


@dataclass(frozen=True, slots=True)
class NoopSettings:
    """Nothing can be set."""


class NoopStage(Stage[NoopSettings]):
    """Passes everything on."""

    __slots__ = ()


KIND = Kind("noop", NoopSettings(), NoopStage)
