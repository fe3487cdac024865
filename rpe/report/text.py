"""Text of foreign origin made safe to show: no credentials, no control characters."""

from __future__ import annotations

import re

from rpe.errors import redact

__all__ = ["clean", "counted", "one_line", "shortened"]

_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_NOT_TEXT = re.compile("[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 does not allow, and the C1 controls beside it, which steer terminals."""


def clean(text: str) -> str:
    """Return text without credentials, terminal sequences and control characters; newlines and tabs stay."""
    return redact(_NOT_TEXT.sub("", _ESCAPE_SEQUENCE.sub("", text.replace("\r\n", "\n"))))


def one_line(text: str) -> str:
    """Return cleaned text with its line breaks and runs of blanks turned into single blanks."""
    return " ".join(clean(text).split())


def shortened(text: str, length: int) -> str:
    """Return text of at most `length` characters; what was cut is shown by an ellipsis."""
    return text if len(text) <= length else text[: max(length - 1, 0)] + "…"


def counted(count: int, noun: str) -> str:
    """Return `1 cell`, `2 cells`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
