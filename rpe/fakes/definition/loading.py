"""Reading definitions: every mistake of a file at once, each with its line and its path."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from pydantic import ValidationError

from rpe.errors import ConfigurationError
from rpe.fakes.definition.descriptors import Contracts, compile_protos, full_name, read_set
from rpe.fakes.definition.model import Definition, Source
from rpe.fakes.definition.plan import ServicePlan, read_plan
from rpe.fakes.definition.problems import DefinitionInvalid, Found, told_problems, told_yaml
from rpe.lined_yaml import LinedDocument, LinedYamlError, load_lined, unlined

__all__ = ["Definitions", "load_definitions", "parse_definition"]

SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class Definitions:
    """Checked definitions of services that one server can serve together."""

    contracts: Contracts
    services: dict[str, ServicePlan] = field(default_factory=dict)


def load_definitions(*paths: Path | str) -> Definitions:
    """Read definitions from files, and from the YAML files that lie in folders.

    Compiles the `.proto` files that they name, which takes a process and some tenths of a second.
    Raises DefinitionInvalid with every mistake of all files; ConfigurationError where a path does
    not exist, a folder holds no definition, two are of one service, or protoc is missing.
    """
    definitions = Definitions(Contracts())
    sources: dict[object, FileDescriptorSet] = {}
    problems: list[str] = []
    files = _files([Path(path) for path in paths])
    for file in files:
        try:
            document = load_lined(file.read_bytes().decode("utf-8"))
        except LinedYamlError as error:
            problems += told_yaml(str(file), error)
        except UnicodeDecodeError as error:
            problems.append(f"{file}: this is not UTF-8 text: {error.reason} at byte {error.start}")
        except OSError as error:
            problems.append(f"{file}: cannot be read: {error.strerror or error}")
        else:
            problems += _add(definitions, document, str(file), file.resolve().parent, sources)
    if problems:
        raise DefinitionInvalid(", ".join(str(file) for file in files), problems)
    return definitions


def parse_definition(text: str | dict[str, Any], folder: Path | str = ".") -> Definitions:
    """Read one definition from text or plain data; its paths are counted from `folder`.

    Raises DefinitionInvalid with every mistake.
    """
    definitions = Definitions(Contracts())
    try:
        document = load_lined(text) if isinstance(text, str) else unlined(text)
    except LinedYamlError as error:
        raise DefinitionInvalid("the text", told_yaml("definition", error)) from None
    problems = _add(definitions, document, "definition", Path(folder).resolve(), {})
    if problems:
        raise DefinitionInvalid("the definition", problems)
    return definitions


def _files(paths: Iterable[Path]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES and file.is_file())
            if not found:
                raise ConfigurationError(
                    f"there is no definition in the folder {path}", hint="`rpe fake generate` writes them"
                )
            files += found
        elif path.exists():
            files.append(path)
        else:
            raise ConfigurationError(f"there is no {path}", hint="`rpe fake generate` writes definitions")
    return list(dict.fromkeys(files))


def _add(
    definitions: Definitions,
    document: LinedDocument,
    source: str,
    folder: Path,
    sources: dict[object, FileDescriptorSet],
) -> list[str]:
    """Check one definition and add its service. Returns what is wrong with it."""
    if not isinstance(document.data, dict):
        what = (
            "the file is empty" if document.data is None else "a definition is a mapping of keys and values"
        )
        return [f"{source}:1: {what}"]
    try:
        definition = Definition.model_validate(document.data)
    except ValidationError as error:
        return told_problems(source, document, _mistakes(error))
    try:
        definitions.contracts.add(_descriptors(definition.descriptors, folder, sources).file)
    except ConfigurationError as error:
        text = error.message + (f"\n  hint: {error.hint}" if error.hint else "")
        return told_problems(source, document, [(("descriptors",), text)])
    name = definition.service
    if name in definitions.services:
        return told_problems(source, document, [(("service",), f"{name} has another definition already")])
    services = {full_name(service): service for service in definitions.contracts.services()}
    if name not in services:
        known = ", ".join(services) or "none"
        return told_problems(
            source, document, [(("service",), f"{name} is not among the descriptors: {known}")]
        )
    plan, found = read_plan(definition, services[name], folder)
    if not found:
        definitions.services[name] = plan
    return told_problems(source, document, found)


def _descriptors(source: Source, folder: Path, sources: dict[object, FileDescriptorSet]) -> FileDescriptorSet:
    """Return the descriptors of a source; several definitions of one source compile it once."""
    protos = tuple(_inside(folder, source.protos or ()))
    include = tuple(_inside(folder, source.include))
    key = (protos, include, None if source.set is None else folder / source.set)
    if key not in sources:
        sources[key] = (
            compile_protos(protos, include) if source.set is None else read_set(folder / source.set)
        )
    return sources[key]


def _inside(folder: Path, paths: Sequence[str]) -> list[Path]:
    return [(folder / path).resolve() for path in paths]


def _mistakes(error: ValidationError) -> list[Found]:
    found: list[Found] = []
    for mistake in error.errors(include_url=False, include_input=False):
        path = tuple(mistake["loc"])
        text = mistake["msg"].removeprefix("Value error, ")
        if mistake["type"] == "extra_forbidden":
            text = "this key is unknown"
        elif mistake["type"] == "missing":
            text = "this is missing"
        found.append((path, text[:1].lower() + text[1:]))
    return found
