"""YAML that remembers its lines: plain data, and the line of each of its parts.

Scalars are read as YAML 1.2's core schema has them, so `on`, `no` and `1:30` are text:
under YAML 1.1, which PyYAML follows by itself, the key `on` would become `true`.
Duplicate keys are refused (PyYAML keeps the last one in silence).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

__all__ = ["LinedDocument", "LinedYamlError", "Path", "load_lined", "problem_of", "unlined"]

_NAMED = re.compile(r"(alias|anchor|tag handle|tag) (['\"]).*?\2")
"""What the parser quotes: names, which a value becomes that was not put in quotation marks."""

MAX_PARTS = 100_000
"""How many parts a document may have, aliases counted each time: a few lines can stand for billions."""

Path = tuple[str | int, ...]
"""The way to a part of a document: keys of mappings and positions in lists."""


class LinedYamlError(Exception):
    """The text is not the YAML that it should be. `found` lists (line, path, message)."""

    def __init__(self, found: list[tuple[int, Path, str]]) -> None:
        super().__init__("; ".join(message for _, _, message in found))
        self.found = found


@dataclass(frozen=True, slots=True)
class LinedDocument:
    """The data of one YAML document, and the line (from 1) on which each part of it begins."""

    data: Any
    lines: dict[Path, int]

    def present(self, path: Path) -> Path:
        """Return the part of `path` that exists here: what has no place in the document is left out."""
        kept: Path = ()
        for part in path:
            if (*kept, part) in self.lines:
                kept = (*kept, part)
        return kept

    def line(self, path: Path) -> int:
        """Return the line of the deepest part of `path` that exists."""
        return self.lines.get(self.present(path), 1)


class _CoreLoader(yaml.SafeLoader):
    """A safe loader with the scalars of YAML 1.2's core schema."""


_CoreLoader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^[-+]?[0-9]+$", list("-+0123456789")),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", list("-+.0123456789")),
):
    _CoreLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


def load_lined(text: str) -> LinedDocument:
    """Read one YAML document.

    Raises LinedYamlError with every duplicate key, key that is not text and alias that
    contains itself; or with the one place where the text stops being YAML, or becomes too large.
    """
    try:
        loader = _CoreLoader(text)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"this is not YAML: the character {chr(error.character)!r} is not allowed"
        raise LinedYamlError([(line, (), message)]) from error
    try:
        node = loader.get_single_node()
        reader = _Reader(loader)
        data = None if node is None else reader.read(node, ())
    except RecursionError as error:
        raise LinedYamlError([(1, (), "this is nested too deep to be read")]) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = problem_of(error)
        if "expected a single document" in message:
            message = "a file holds one document; give each a file of its own"
        # Not `from error`: its text quotes the line, and that may hold a token.
        raise LinedYamlError([(mark.line + 1 if mark else 0, (), f"this is not YAML: {message}")]) from None
    finally:
        loader.dispose()
    if reader.problems:
        raise LinedYamlError(reader.problems)
    return LinedDocument(data, reader.lines)


def problem_of(error: yaml.YAMLError) -> str:
    """Return what the parser says, without the text that it quotes: that may hold a token."""
    parts = (getattr(error, "context", None), getattr(error, "problem", None))
    return _NAMED.sub(r"\1", " ".join(part for part in parts if part)) or "it cannot be read"


def unlined(data: Any) -> LinedDocument:
    """Return a document of plain data, all of whose parts exist on no line."""
    lines: dict[Path, int] = {}

    def visit(part: Any, path: Path) -> None:
        lines[path] = 0
        inner = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
        for key, value in inner:
            visit(value, (*path, key))

    visit(data, ())
    return LinedDocument(data, lines)


class _Reader:
    """Turns nodes into data, noting lines and mistakes on the way."""

    def __init__(self, loader: _CoreLoader) -> None:
        self._loader = loader
        self._open: set[int] = set()
        self.lines: dict[Path, int] = {}
        self.problems: list[tuple[int, Path, str]] = []

    def read(self, node: yaml.Node, path: Path, line: int | None = None) -> Any:
        self.lines[path] = line or node.start_mark.line + 1
        if len(self.lines) > MAX_PARTS:
            here = (self.lines[path], (), f"there are more than {MAX_PARTS} parts, aliases counted each time")
            raise LinedYamlError([here])
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if id(node) in self._open:
            self._problem(node, path, "an alias contains itself")
            return None
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.read(item, (*path, position)) for position, item in enumerate(node.value)]
            return self._mapping(node, path)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.Node, path: Path) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._scalar(key_node) if isinstance(key_node, yaml.ScalarNode) else None
            if not isinstance(key, str):
                self._problem(key_node, path, f"a key must be text; write {key_node.value!r} in quotes")
                continue
            if key in data:
                self._problem(key_node, (*path, key), f"given twice, first on line {self.lines[*path, key]}")
                continue
            data[key] = self.read(value_node, (*path, key), key_node.start_mark.line + 1)
        return data

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        if node.tag == "tag:yaml.org,2002:int":
            return int(node.value)
        if node.tag == "tag:yaml.org,2002:float":
            return float(node.value)
        return self._loader.construct_object(node)

    def _problem(self, node: yaml.Node, path: Path, message: str) -> None:
        self.problems.append((node.start_mark.line + 1, path, message))
