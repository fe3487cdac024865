"""The model's complaints in words: what is wrong with a field, and what was probably meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rpe.chaos.secrets import SECRET_KEYS
from rpe.lined_yaml import LinedDocument, Path

__all__ = ["did_you_mean", "dotted", "known_keys", "mistakes", "one_branch_each"]

_DURATION = re.compile(r"^\s*[0-9.]+\s*(ms|s|sec|secs|seconds?|m|min|minutes?)?\s*$")
_UNIT = re.compile(r"_(ms|us|secs?|seconds?|millis|m|mins?|minutes?)$")


def dotted(path: Path) -> str:
    """Return a path as text: `faults[0].latency.latency_s`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a sentence that offers the known word nearest to `word`, or all where none is near."""
    candidates = sorted(set(known))
    near = difflib.get_close_matches(word.lower(), candidates, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]}?"
    return f"known: {', '.join(candidates)}" if candidates else "there are none"


def mistakes(
    errors: Sequence[Mapping[str, Any]], document: LinedDocument, schema: Mapping[str, Any]
) -> list[tuple[Path, str]]:
    """Turn pydantic's errors into (path, message), each mistake once."""
    found: dict[tuple[Path, str], None] = {}
    for error in one_branch_each(errors, document):
        kind, loc = error["type"], tuple(error["loc"])
        if kind == "too_short" and error["input"]:
            continue  # its items are wrong, and are reported each
        path = document.present(loc)
        if kind == "missing":
            path = (*path, loc[-1])
        found.setdefault((path, _message(error, path, schema)))
    return list(found)


def one_branch_each(errors: Sequence[Mapping[str, Any]], document: LinedDocument) -> list[Mapping[str, Any]]:
    """Keep, of the errors of each choice between several shapes, those of the shape that fits best."""
    branches: dict[Path, dict[str | int, list[Mapping[str, Any]]]] = {}
    kept: list[Mapping[str, Any]] = []
    for error in errors:
        loc: Path = tuple(error["loc"])
        end = len(loc) - (error["type"] in ("missing", "extra_forbidden"))
        at = next((at for at in range(end) if loc[: at + 1] not in document.lines), None)
        if at is None:
            kept.append(error)
        else:
            branches.setdefault(loc[:at], {}).setdefault(loc[at], []).append(error)
    for choice in branches.values():
        best = min(choice.values(), key=len)
        kept += best
    return kept


def known_keys(schema: Mapping[str, Any], path: Path) -> set[str]:
    """Return the keys that the JSON Schema allows in the mapping at `path`."""
    places = [schema]
    for part in path:
        places = [inner for place in places for inner in _inside(schema, place, part)]
    shapes = [shape for place in places for shape in _shapes(schema, place)]
    # A single workload may stand where a list of them is meant.
    shapes += [inner for shape in shapes if "items" in shape for inner in _shapes(schema, shape["items"])]
    return {key for shape in shapes for key in shape.get("properties", {})}


def _inside(schema: Mapping[str, Any], place: Mapping[str, Any], part: str | int) -> list[Mapping[str, Any]]:
    found: list[Any] = []
    for shape in _shapes(schema, place):
        if isinstance(part, int):
            found.append(shape.get("items"))
        else:
            found.append(shape.get("properties", {}).get(part, shape.get("additionalProperties")))
            found += shape.get("patternProperties", {}).values()
    return [inner for inner in found if isinstance(inner, Mapping)]


def _shapes(schema: Mapping[str, Any], place: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Follow a reference, and take every alternative."""
    if "$ref" in place:
        return _shapes(schema, schema["$defs"][place["$ref"].rpartition("/")[2]])
    alternatives = [shape for inner in place.get("anyOf", ()) for shape in _shapes(schema, inner)]
    return [place, *alternatives]


def _message(error: Mapping[str, Any], path: Path, schema: Mapping[str, Any]) -> str:
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    name = str(path[-1]) if path else ""
    shown = "" if SECRET_KEYS.intersection(map(str, path)) else f", not {_shorten(value)}"
    if kind in ("model_type", "dict_type") and isinstance(value, str):
        shown = ", not text"  # it may be what is to stand within it, a token for one
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return _unknown_key(name, known_keys(schema, path[:-1]))
    if kind == "float_type" and name.endswith("_s") and isinstance(value, str) and _DURATION.match(value):
        return f"must be a number of seconds, such as 0.2, without a unit{shown}"
    if kind in (
        "float_type",
        "int_type",
        "bool_type",
        "string_type",
        "model_type",
        "dict_type",
        "tuple_type",
    ):
        return f"must be {_TYPES[kind]}{shown}"
    if kind in _BOUNDS:
        word, key = _BOUNDS[kind]
        return f"must be {word} {context[key]:g}{shown}"
    if kind == "literal_error":
        return f"must be {context['expected']}{shown}"
    if kind == "string_too_short":
        return f"must be a text of at least {context['min_length']} characters{shown}"
    if kind == "too_short":
        return "must not be empty"
    if kind == "string_pattern_mismatch":
        return f"must be lower case letters and digits, joined by hyphens{shown}"
    return str(error["msg"]).removeprefix("Value error, ")


_TYPES = {
    "float_type": "a number",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "string_type": "text",
    "model_type": "a mapping of keys and values",
    "dict_type": "a mapping of keys and values",
    "tuple_type": "a list",
}

_BOUNDS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


def _unknown_key(name: str, known: set[str]) -> str:
    stem = _UNIT.sub("", name)
    for candidate in (f"{stem}_s", stem):
        if candidate in known and candidate.endswith("_s"):
            return f"unknown key; times are in seconds: write {candidate}"
    return f"unknown key; {did_you_mean(name, known)}"


def _shorten(value: Any) -> str:
    if isinstance(value, Mapping | list | tuple):
        return "a mapping" if isinstance(value, Mapping) else "a list"  # anything may stand in it
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
