"""One list of pool members kept sorted by group, with moves in constant time.

The members of a group stand next to each other, in no order, so that choosing one of a
group, or of neighbouring groups together, is choosing an index. Moving to the next group
swaps a member with the one at the border and shifts the border, so no change of one
member's state costs more in a large pool than in a small one.
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

__all__ = ["GONE", "Grouped", "Groups"]

GONE = -1
"""The group of what is in no list (any more)."""


class Grouped(Protocol):
    """What a member remembers of its place; only `Groups` writes it."""

    group: int
    index: int


M = TypeVar("M", bound=Grouped)


class Groups(Generic[M]):
    """Members in groups numbered from 0: group g stands in `order[ends[g - 1]:ends[g]]`."""

    __slots__ = ("ends", "order")

    def __init__(self, count: int) -> None:
        self.order: list[M] = []
        self.ends = [0] * count

    def add(self, member: M, group: int) -> None:
        """Put a new member into `group`."""
        member.group = len(self.ends) - 1
        member.index = len(self.order)
        self.order.append(member)
        self.ends[-1] += 1
        self.move(member, group)

    def move(self, member: M, group: int) -> None:
        """Move a member to `group`, past one border after the other."""
        ends = self.ends
        here = member.group
        while here < group:
            ends[here] -= 1
            self._swap(member, ends[here])
            here += 1
        while here > group:
            here -= 1
            self._swap(member, ends[here])
            ends[here] += 1
        member.group = group

    def discard(self, member: M) -> None:
        """Take a member out; it is in group `GONE` then."""
        self.move(member, len(self.ends) - 1)
        self._swap(member, len(self.order) - 1)
        self.order.pop()
        self.ends[-1] -= 1
        member.group = member.index = GONE

    def _swap(self, member: M, to: int) -> None:
        order, index = self.order, member.index
        other = order[to]
        order[to], order[index] = member, other
        member.index, other.index = to, index

    def __len__(self) -> int:
        return len(self.order)
