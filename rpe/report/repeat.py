"""The command that runs a cell again."""

from __future__ import annotations

import re
import shlex

from rpe.chaos.options import EMBEDDED

__all__ = ["DEFAULT_SUBJECT", "repeat_command"]

DEFAULT_SUBJECT = "rpe"
"""The client under test where none is named."""

_OPERATORS = ("", "and", "or", "not")


def repeat_command(path: str, cell: str, *, seed: int, proxy: str, subject: str) -> str:
    """Return the command that runs one cell of a file again, ready to be pasted into a shell.

    The defaults of proxy and client are left out. An id with blanks or parentheses, which a
    filter cannot hold as one word, is matched by its words.
    """
    parts = ["rpe", "run", path, "--seed", str(seed)]
    if "[" in cell:
        words = [word for word in re.split(r"[\s()]+", cell) if word not in _OPERATORS]
        parts += ["--filter", " and ".join(words)]
    if proxy and proxy != EMBEDDED:
        parts += ["--proxy", proxy]
    if subject and subject != DEFAULT_SUBJECT:
        parts += ["--client", subject]
    return shlex.join(parts)
