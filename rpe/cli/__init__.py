"""The command `rpe`.

Nothing heavy is imported before a command runs, so that `rpe --help` answers at once.
"""

from __future__ import annotations

from rpe.cli.app import main

__all__ = ["main"]
