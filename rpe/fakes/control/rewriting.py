"""Definitions that come over the control API: read, and put together with those that are served."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from pydantic import ValidationError

from rpe.errors import ConfigurationError
from rpe.fakes.control.controlled import mapping
from rpe.fakes.definition.descriptors import Contracts, full_name
from rpe.fakes.definition.loading import SUFFIXES, Definitions, parse_definition
from rpe.fakes.definition.model import Definition
from rpe.fakes.definition.plan import ServicePlan, read_plan
from rpe.fakes.definition.problems import DefinitionInvalid, dotted, told_problems
from rpe.lined_yaml import LinedYamlError, load_lined, unlined

__all__ = ["combined", "definition_files", "planned", "read_forms", "read_rules", "source_files"]

_NO_SOURCE = {"set": "the contract that is served"}


def definition_files(path: Path) -> list[Path]:
    """Return the files of definitions: the one that is given, or the YAML files of a folder."""
    try:
        return sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
    except OSError:
        return [path]


def source_files(files: Iterable[Path]) -> list[Path]:
    """Return the files of contracts that definitions name; without what cannot be read."""
    found: dict[Path, None] = {}
    for file in files:
        form = _form(file)
        source = form.get("descriptors") if form is not None else None
        if isinstance(source, dict):
            protos = source.get("protos")
            named = [source.get("set"), *(protos if isinstance(protos, list) else [])]
            found |= dict.fromkeys(file.parent / name for name in named if isinstance(name, str))
    return list(found)


def read_forms(path: Path) -> dict[str, Any]:
    """Return the definitions of a file or a folder as plain data, by service; without what cannot be read."""
    forms = [form for file in definition_files(path) if (form := _form(file)) is not None]
    return {form["service"]: form for form in forms if isinstance(form.get("service"), str)}


def _form(file: Path) -> dict[str, Any] | None:
    try:
        data = load_lined(file.read_text(encoding="utf-8")).data
    except (OSError, UnicodeDecodeError, LinedYamlError):
        return None
    return data if isinstance(data, dict) else None


def read_rules(form: Any, contracts: Contracts, folder: Path) -> dict[str, tuple[Any, Definitions | None]]:
    """Read one definition or a list of them: by service the plain data, and what it was read as.

    A definition without `descriptors` is of a service among `contracts`; it comes without Definitions
    of its own, and `planned` reads it. Raises ConfigurationError, DefinitionInvalid with every mistake.
    """
    read: dict[str, tuple[Any, Definitions | None]] = {}
    for item in form if isinstance(form, list) else [form]:
        given = mapping(item, "a definition")
        service = given.get("service")
        if not isinstance(service, str):
            raise ConfigurationError("a definition names its service")
        if service in read:
            raise ConfigurationError(f"there are two definitions of {service}")
        if "descriptors" in given:
            read[service] = given, parse_definition(given, folder)
        else:
            planned(given, contracts, folder)  # told now what is wrong
            read[service] = given, None
    if not read:
        raise ConfigurationError("at least one definition is needed")
    return read


def planned(form: Mapping[str, Any], contracts: Contracts, folder: Path) -> ServicePlan:
    """Read a definition of a service whose contract is there. Raises DefinitionInvalid with every mistake."""
    name = form.get("service")
    service = {full_name(known): known for known in contracts.services()}.get(str(name))
    if service is None:
        raise ConfigurationError(
            f"there is no contract of {name} here", hint="say in descriptors where it is from"
        )
    document = unlined({**form, "descriptors": _NO_SOURCE})
    try:
        definition = Definition.model_validate(document.data)
    except ValidationError as error:
        found = [
            f"{dotted(tuple(item['loc']))}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors(include_url=False, include_input=False)
        ]
        raise DefinitionInvalid(str(name), found) from None
    plan, wrong = read_plan(definition, service, folder)
    if wrong:
        raise DefinitionInvalid(str(name), told_problems("definition", document, wrong))
    return plan


def combined(contracts: Iterable[Contracts], services: Mapping[str, ServicePlan]) -> Definitions:
    """Put definitions together that were read apart. Raises ConfigurationError where contracts differ."""
    known = list(contracts)
    if len(known) == 1:
        return Definitions(known[0], dict(services))
    together = Contracts()
    for part in known:
        together.add(_files(part))
    return Definitions(together, dict(services))


def _files(contracts: Contracts) -> list[FileDescriptorProto]:
    """Return the files of the services of a contract, with all that they import."""
    files: dict[str, FileDescriptorProto] = {}

    def take(file: Any) -> None:
        if file.name not in files:
            copied = files[file.name] = FileDescriptorProto()
            file.CopyToProto(copied)
            for imported in file.dependencies:
                take(imported)

    for service in contracts.services():
        take(service.file)
    return list(files.values())
