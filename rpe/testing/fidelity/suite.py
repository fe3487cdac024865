"""The list of checks of each wire."""

from __future__ import annotations

from collections.abc import Callable, Collection
from importlib import import_module

from rpe.errors import ConfigurationError
from rpe.testing.fidelity.model import Check, CheckFunction

__all__ = ["TRANSPORTS", "Checks", "checks_of"]

_ROOM = "rpe.testing.fidelity"
_HOMES = {
    "grpc": (
        f"{_ROOM}.grpc.frame_checks",
        f"{_ROOM}.grpc.answer_checks",
        f"{_ROOM}.grpc.service_checks",
        f"{_ROOM}.grpc.session_checks",
    ),
    "http": (f"{_ROOM}.http.answer_checks", f"{_ROOM}.http.session_checks"),
    "webrtc": (f"{_ROOM}.webrtc",),
}

TRANSPORTS = tuple(_HOMES)
"""The wires that there are checks for."""


class Checks:
    """The checks of one module, in the order in which they stand there."""

    def __init__(self, transport: str) -> None:
        self.transport = transport
        self.checks: list[Check] = []

    def __call__(
        self, name: str, *, proves: str, contract: str, in_silence: bool = False
    ) -> Callable[[CheckFunction], CheckFunction]:
        """Make the decorated function a check (see `Check` for the arguments)."""

        def add(run: CheckFunction) -> CheckFunction:
            self.checks.append(Check(self.transport, name, proves, contract, run, in_silence))
            return run

        return add


def checks_of(transport: str, only: Collection[str] = ()) -> tuple[Check, ...]:
    """Return the checks of a wire, all of them or those that are named, in their own order.

    Raises ConfigurationError for a wire that has none, and for a name that no check has.
    """
    if transport not in _HOMES:
        raise ConfigurationError(
            f"there are no fidelity checks for the transport {transport!r}",
            hint=f"there are some for {', '.join(TRANSPORTS)}",
        )
    found: list[Check] = []
    for home in _HOMES[transport]:
        checks: Checks = import_module(home).checks
        found += checks.checks
    names = {check.name for check in found}
    if strangers := sorted(set(only) - names):
        raise ConfigurationError(
            f"no check for {transport} is named {', '.join(strangers)}", hint=f"they are {', '.join(names)}"
        )
    return tuple(check for check in found if not only or check.name in only)
