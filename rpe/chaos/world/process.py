"""A fake server in a process of its own, as a world needs it: each signal with its undoing."""

from __future__ import annotations

from rpe.fakes.process import FakeProcess
from rpe.faults.actions import SignalKind

__all__ = ["SignalledProcess"]

GRACE_S = 5.0
"""How long the calls that run may take to end when a process is asked to stop."""


class SignalledProcess(FakeProcess):
    """A fake process that can be ended in good order and brought back, with its journal and its address."""

    async def signal(self, what: SignalKind) -> None:
        """Send a signal, and wait until it has been seen to take effect. Raises ConfigurationError."""
        match what:
            case "kill":
                await self.kill()
            case "pause":
                self.pause()
            case "stop":
                await self.end(GRACE_S)

    async def revive(self, what: SignalKind) -> None:
        """Undo a signal: the process runs, and serves at its old address, on return."""
        if what == "pause":
            self.resume()
        else:
            await self.start()
