"""Named scenarios: what a fake remembers from one call to the next."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["STARTED", "Scenarios"]

STARTED = "started"
"""The state that every scenario begins in."""


class Scenarios:
    """The states of the scenarios of one fake, shared by all its services and methods."""

    def __init__(self) -> None:
        self._states: dict[str, str] = {}
        self._known: dict[str, None] = {}

    def __repr__(self) -> str:
        return f"Scenarios({self.states()})"

    def know(self, names: Iterable[str]) -> None:
        """Make scenarios known by name, so that `states` tells of them before they leave `started`."""
        self._known.update(dict.fromkeys(names))

    def states(self) -> dict[str, str]:
        """Return the state of every scenario that is known or was set."""
        return {name: self.state(name) for name in (*self._known, *self._states)}

    def state(self, name: str) -> str:
        """Return the state of a scenario; `started` where none was set."""
        return self._states.get(name, STARTED)

    def set(self, name: str, state: str) -> None:
        """Put a scenario into a state."""
        self._states[name] = state

    def reset(self) -> None:
        """Put every scenario back to `started`."""
        self._states.clear()
