"""`${VAR}` in the fields that are meant for it: those that hold a credential."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rpe.errors import ConfigurationError

__all__ = ["expand", "has_variable"]

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def has_variable(text: str) -> bool:
    """Whether there is a `${` in it, well formed or not."""
    return "${" in text


def expand(text: str, environment: Mapping[str, str], field: str) -> str:
    """Put the values of variables in their places, once: a value is not searched again.

    field: where the text stands, for the error.
    Raises ConfigurationError for a variable that is not set, and for a `${` that begins none;
    it names variables, and never a value.
    """
    names = _VARIABLE.findall(text)
    unknown = sorted({name for name in names if name not in environment})
    if unknown:
        raise ConfigurationError(
            f"{field} asks for environment variables that are not set: {', '.join(unknown)}",
            hint="set them where this process is started",
        )
    if has_variable(_VARIABLE.sub("", text)):
        raise ConfigurationError(f"{field} holds a ${{ that begins no variable", hint="write ${NAME}")
    return _VARIABLE.sub(lambda match: environment[match[1]], text)
