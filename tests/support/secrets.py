"""Secrets that are planted, and the search for them in whatever a person or a log gets to see."""

from __future__ import annotations

import base64
import re
import traceback
from pathlib import Path
from urllib.parse import quote

import pytest

__all__ = ["SHAPES", "Planted"]

SHAPES = {
    "padded": "Zq7vX1mPz9K4tW2d==",
    "signs": "kJ3+w8/Q5n+Yb0/R2xCe7",
    "long": "L9" + "fVx3TgB6uHsN1jDyE8aM" * 10,
    "word": "marzipanwolke",
    "mixed": "sk_live-51.H~Gx_Pa0R",
}
"""Tokens of different shapes; no piece of one stands anywhere else in this repository."""

PIECE = 8
"""Where so many characters of a secret stand in a row, it has leaked, also where the rest was cut off."""


_PARTS = ("message", "node", "hint", "attempts", "error_type", "downstream", "problems", "failures")


class Planted:
    """The planted secrets, and the search for them in every coding that they may stand in."""

    def __init__(self) -> None:
        self._needles = {
            needle: shape
            for shape, secret in SHAPES.items()
            for coded in (
                secret,
                quote(secret, safe=""),
                base64.b64encode(secret.encode()).decode(),
                secret.replace("/", "\\/"),
                secret.encode().hex(),
            )
            for needle in (coded[:PIECE], coded[-PIECE:])
        }
        self._pattern = re.compile("|".join(map(re.escape, self._needles)))

    def __getitem__(self, shape: str) -> str:
        return SHAPES[shape]

    def found(self, text: str) -> str | None:
        """Return the shape of a secret that stands in a text, None for a clean one."""
        match = self._pattern.search(text)
        return None if match is None else self._needles[match[0]]

    def check(self, where: str, text: str) -> None:
        """Fail where a secret stands in a text; what is shown is what stands before it."""
        match = self._pattern.search(text)
        if match is not None:
            before = text[max(match.start() - 300, 0) : match.start()]
            pytest.fail(
                f"{where} holds the {self._needles[match[0]]} secret, after: {before!r}", pytrace=True
            )

    def check_shown(self, *things: object) -> None:
        """Check what `str`, `repr` and a format make of things."""
        for thing in things:
            name = type(thing).__name__
            self.check(f"repr of {name}", repr(thing))
            self.check(f"str of {name}", str(thing))
            self.check(f"format of {name}", f"{thing}")

    def check_error(self, error: BaseException) -> None:
        """Check an error, its arguments, what it holds for a reader, and its traceback with all causes."""
        self.check_shown(error)
        self.check(f"args of {type(error).__name__}", repr(error.args))
        for name in (
            "message",
            "node",
            "hint",
            "attempts",
            "error_type",
            "downstream",
            "problems",
            "failures",
        ):
            self.check(f"{name} of {type(error).__name__}", repr(getattr(error, name, "")))
        self.check(f"the traceback of {type(error).__name__}", "".join(traceback.format_exception(error)))

    def check_folder(self, folder: Path) -> int:
        """Check the names and the bytes of all files below a folder; return how many there were."""
        files = [file for file in folder.rglob("*") if file.is_file()]
        for file in files:
            self.check(f"the name of {file.name}", str(file.relative_to(folder)))
            self.check(f"the file {file.name}", file.read_bytes().decode("latin-1"))
        return len(files)
