"""What pydantic finds wrong, in this project's words."""

from __future__ import annotations

from pydantic import ValidationError

from rpe.fakes.definition.problems import Found

__all__ = ["mistakes"]

_OURS = {
    "extra_forbidden": "this key is unknown",
    "missing": "this is missing",
    "string_pattern_mismatch": "a name has letters, digits, -, _ and . only, a letter or digit first",
    "too_short": "at least one is needed",
    "tuple_type": "a list is needed",
    "dict_type": "a mapping of keys and values is needed",
}
"""What is told in the place of pydantic's own words, by the type of the mistake."""


def mistakes(error: ValidationError) -> list[Found]:
    """Return each mistake with its path; none of them quotes what was written."""
    found: list[Found] = []
    for mistake in error.errors(include_url=False, include_input=False):
        text = mistake["msg"].removeprefix("Value error, ")
        text = _OURS.get(mistake["type"], text)
        found.append((tuple(mistake["loc"]), text[:1].lower() + text[1:]))
    return found
