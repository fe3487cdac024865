"""The packages of the extra `voice`, imported when they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from rpe.errors import ConfigurationError

__all__ = ["require"]


def require(package: str, what: str) -> Any:
    """Import a package and return it. Raises ConfigurationError where it is missing or cannot be loaded.

    Arguments:
        package: the name it is imported by.
        what: what needs it, for the error.
    """
    try:
        return import_module(package)
    except (ImportError, OSError) as error:
        raise ConfigurationError(
            f"{what} needs the package {package}, which cannot be imported: {error}",
            hint="pip install rpe[voice]",
        ) from error
