"""What a run was made with, written into its plan: another version may behave otherwise."""

from __future__ import annotations

import platform
from importlib import metadata

__all__ = ["versions"]

PACKAGES = ("rpe", "grpcio", "protobuf", "aiohttp", "uvloop")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that matter, as far as they are installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
