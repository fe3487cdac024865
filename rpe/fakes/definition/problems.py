"""Mistakes in a definition, collected first and told all at once."""

from __future__ import annotations

from collections.abc import Iterable

from rpe.errors import ConfigurationError
from rpe.lined_yaml import LinedDocument, LinedYamlError, Path

__all__ = ["DefinitionInvalid", "Found", "dotted", "told_problems", "told_yaml"]

Found = tuple[Path, str]
"""A mistake: the way to where it is in the definition, and what is wrong there."""


class DefinitionInvalid(ConfigurationError):
    """A definition of a fake is wrong; `problems` has each mistake with its file, line and path."""

    code = "definition_invalid"

    def __init__(self, source: str, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join([f"{source} is not a usable definition", *self.problems]))


def dotted(path: Path) -> str:
    """Return a path as it is written: `methods.GetItem[0].answer`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def told_problems(source: str, document: LinedDocument, found: Iterable[Found]) -> list[str]:
    """Return one line of text for each mistake, in the order of the file."""
    lines = sorted((document.line(path), dotted(path), text) for path, text in found)
    return [_told(source, line, path, text) for line, path, text in lines]


def told_yaml(source: str, error: LinedYamlError) -> list[str]:
    """Return one line of text for each place where a text is not the YAML that it should be."""
    return [_told(source, line, dotted(path), text) for line, path, text in error.found]


def _told(source: str, line: int, path: str, text: str) -> str:
    return f"{source}{f':{line}' if line else ''}: {f'{path}: ' if path else ''}{text}"
