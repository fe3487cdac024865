"""A secret to be planted, and everything that an error may show."""

from __future__ import annotations

__all__ = ["SECRET", "told"]

SECRET = "planted-s3cret"


def told(error: BaseException) -> str:
    """All that an error may show, with its causes and contexts, as text and as repr."""
    shown: dict[int, str] = {}
    left: list[BaseException | None] = [error]
    while left:
        found = left.pop()
        if found is not None and id(found) not in shown:
            shown[id(found)] = f"{found} {found!r} {vars(found)}"
            left += [found.__cause__, found.__context__]
    return "".join(shown.values())
