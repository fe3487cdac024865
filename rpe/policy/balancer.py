"""Load balancing: which of the members that may be used gets the attempt.

A balancer is shown only members that may be used, never a list with gaps to step over: a
step over a dead member would give its share to its neighbour. An attempt that must avoid
members already tried is placed at random among the others, for the same reason.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from rpe.errors import ConfigurationError

if TYPE_CHECKING:
    from random import Random

__all__ = [
    "BALANCERS",
    "Balancer",
    "Candidate",
    "LeastConnections",
    "RandomChoice",
    "RoundRobin",
    "choose_untried",
    "make_balancer",
]

_SCAN = 8  # up to this many members all are compared; beyond it, two drawn at random
_DRAWS = 16  # a draw misses with less than one half, so as many as this hardly ever do


class Candidate(Protocol):
    """What a balancer may know of a member."""

    in_flight: int
    penalty: float

    def load(self, now: float) -> float:
        """Return how busy the member counts as."""
        ...


C = TypeVar("C")
L = TypeVar("L", bound=Candidate)


class Balancer(Protocol):
    """A strategy of choosing from `members[start:stop]`, in constant time."""

    def choose(
        self, members: Sequence[L], start: int, stop: int, now: float, tried: Collection[object] = ()
    ) -> L | None:
        """Return a member that is not in `tried`, or None if there is none."""
        ...


def choose_untried(
    rng: Random, members: Sequence[C], start: int, stop: int, tried: Collection[object]
) -> C | None:
    """Return any of `members[start:stop]` that is not in `tried`, each as likely; None if none is left."""
    count = stop - start
    if count > 2 * len(tried):
        for _ in range(_DRAWS):
            member = members[start + int(rng.random() * count)]
            if member not in tried:
                return member
    free = [member for member in members[start:stop] if member not in tried]
    return free[int(rng.random() * len(free))] if free else None


class RoundRobin:
    """Each in turn, beginning anywhere, so that clients started together do not all begin at the first."""

    __slots__ = ("_next", "_rng")

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._next = -1

    def choose(
        self, members: Sequence[L], start: int, stop: int, now: float, tried: Collection[object] = ()
    ) -> L | None:
        """Return the next in turn; if some were tried, any other: the next is always the same neighbour."""
        if tried or start >= stop:
            return choose_untried(self._rng, members, start, stop, tried)
        index = self._next
        if not start <= index < stop:
            index = start + int(self._rng.random() * (stop - start))
        self._next = index + 1 if index + 1 < stop else start
        return members[index]


class RandomChoice:
    """Any, each as likely."""

    __slots__ = ("_rng",)

    def __init__(self, rng: Random) -> None:
        self._rng = rng

    def choose(
        self, members: Sequence[L], start: int, stop: int, now: float, tried: Collection[object] = ()
    ) -> L | None:
        """Return any member that was not tried."""
        if tried or start >= stop:
            return choose_untried(self._rng, members, start, stop, tried)
        return members[start + int(self._rng.random() * (stop - start))]


class LeastConnections:
    """The least busy one: of all in a small pool, else of two different ones drawn at random.

    Drawing the same one twice would send a quarter of the load of a pool of two to a member
    that hangs. Being busy includes recent failures (`Candidate.load`), because who fails at
    once has the fewest requests in flight. Ties are broken at random.
    """

    __slots__ = ("_rng",)

    def __init__(self, rng: Random) -> None:
        self._rng = rng

    def choose(
        self, members: Sequence[L], start: int, stop: int, now: float, tried: Collection[object] = ()
    ) -> L | None:
        """Return the least busy member that was not tried, as far as it was looked at."""
        count = stop - start
        if count <= _SCAN:
            return self._scan(members, start, stop, now, tried)
        rng = self._rng
        one: L | None
        other: L | None
        if tried:
            one = choose_untried(rng, members, start, stop, tried)
            other = None if one is None else choose_untried(rng, members, start, stop, {*tried, one})
            if one is None or other is None:
                return one
        else:
            first = int(rng.random() * count)
            second = int(rng.random() * (count - 1))
            one = members[start + first]
            other = members[start + (second if second < first else second + 1)]
        # Which of two equals came first is chance already.
        if one.penalty or other.penalty:
            return one if one.load(now) <= other.load(now) else other
        return one if one.in_flight <= other.in_flight else other

    def _scan(
        self, members: Sequence[L], start: int, stop: int, now: float, tried: Collection[object]
    ) -> L | None:
        least = float("inf")
        best: list[L] = []
        for member in members[start:stop]:
            load = member.load(now) if member.penalty else member.in_flight
            if load > least or (tried and member in tried):
                continue
            if load < least:
                least = load
                best = [member]
            else:
                best.append(member)
        if len(best) > 1:
            return best[int(self._rng.random() * len(best))]
        return best[0] if best else None


BALANCERS: Final[dict[str, Callable[[Random], Balancer]]] = {
    "round_robin": RoundRobin,
    "least_connections": LeastConnections,
    "random": RandomChoice,
}
"""The balancers by the name a configuration calls them."""


def make_balancer(name: str, rng: Random) -> Balancer:
    """Return a new balancer.

    Raises:
        ConfigurationError: there is none of that name; the text lists the known ones.
    """
    make = BALANCERS.get(name)
    if make is None:
        raise ConfigurationError(f"there is no balancer {name!r}; known: {', '.join(BALANCERS)}")
    return make(rng)
