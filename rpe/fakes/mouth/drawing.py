"""Which faults happen: each has a count and a source of chance of its own."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Generic, TypeVar

from rpe.fakes.mouth.script import CallFault, ConnectionFault

__all__ = ["Dice"]

FaultT = TypeVar("FaultT", bound=CallFault | ConnectionFault)


class Dice(Generic[FaultT]):
    """Draws for each call or connection, in the order of their coming.

    The source of a fault is named by its kind and by how many of that kind stand before it.
    """

    def __init__(self, faults: Sequence[FaultT], source: str) -> None:
        seen: Counter[str] = Counter()
        self._faults: list[tuple[FaultT, random.Random]] = []
        for fault in faults:
            self._faults.append((fault, random.Random(f"{source}/{fault.kind}/{seen[fault.kind]}")))
            seen[fault.kind] += 1
        self._counts = [0] * len(self._faults)

    def draw(self, path: str = "") -> list[FaultT]:
        """Return the faults that fire for the next call of that path, or for the next connection."""
        fired = []
        for index, (fault, rng) in enumerate(self._faults):
            if not path.endswith(getattr(fault, "path", "")):
                continue
            number, self._counts[index] = self._counts[index], self._counts[index] + 1
            if fault.fires(number, rng.random()):
                fired.append(fault)
        return fired
