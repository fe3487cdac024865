"""From the text of a manifest, JSON or YAML, to the plain data in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rpe.data.json_value import parse_json
from rpe.errors import DataValidationError, ManifestInvalid

__all__ = ["parse_manifest_json", "parse_manifest_yaml", "read_manifest_file"]

YAML_SUFFIXES = (".yaml", ".yml")


def parse_manifest_json(text: str | bytes) -> Any:
    """Return the data of a JSON text. Raises ManifestInvalid."""
    try:
        return parse_json(text, "the manifest")
    except DataValidationError as error:
        raise ManifestInvalid(error.message) from error


def parse_manifest_yaml(text: str | bytes) -> Any:
    """Return the data of a YAML 1.2 text. Raises ManifestInvalid.

    Keys that are given twice, and aliases that stand for too much, are problems.
    """
    from rpe.lined_yaml import LinedYamlError, load_lined  # most manifests are JSON

    try:
        return load_lined(text if isinstance(text, str) else text.decode()).data
    except LinedYamlError as error:
        problems = [f"line {line}: {message}" for line, _, message in error.found]
        raise ManifestInvalid("the manifest is not readable YAML", problems=problems) from error
    except UnicodeDecodeError as error:
        raise ManifestInvalid(f"the manifest is not UTF-8: {error.reason}") from error


def read_manifest_file(path: Path) -> Any:
    """Return the data of a file: YAML where it is named `.yaml` or `.yml`, JSON otherwise.

    Raises ManifestInvalid, also where the file cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ManifestInvalid(f"{path} cannot be read: {error.strerror or error}") from error
    return parse_manifest_yaml(content) if path.suffix in YAML_SUFFIXES else parse_manifest_json(content)
