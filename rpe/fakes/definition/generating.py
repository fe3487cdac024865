"""Writing definitions: a YAML file for each service, with a rule and an example answer for each method."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from rpe.errors import ConfigurationError
from rpe.fakes.definition.descriptors import (
    Contracts,
    compile_protos,
    full_name,
    import_root,
    kind_of,
    read_set,
)
from rpe.fakes.definition.examples import example, notes
from rpe.fakes.definition.paths import is_map, map_parts

__all__ = ["Written", "definition_text", "generate", "generate_from_set"]

SET_NAME = "descriptors.binpb"
"""The name of the compiled set that is written where one is asked for."""

_WIDTH = 100
_DIGEST = re.compile(r"^# digest: ([0-9a-f]{64})\n", re.MULTILINE)
_TYPES = {
    getattr(FieldDescriptor, name): name.removeprefix("TYPE_").lower()
    for name in dir(FieldDescriptor)
    if name.startswith("TYPE_")
}


@dataclass(frozen=True, slots=True)
class Written:
    """A definition's file, and what became of it: kept means that it was edited and is as it was."""

    path: Path
    service: str
    state: Literal["written", "unchanged", "kept"]


def generate(
    sources: Sequence[Path],
    out: Path,
    *,
    include: Sequence[Path] = (),
    compiled: bool = False,
    force: bool = False,
) -> list[Written]:
    """Write a definition into the folder `out` for each service of the sources, named after the service.

    Arguments:
        sources: `.proto` files and folders of them, or compiled descriptor sets; not both.
        out: the folder; it is made where it does not exist.
        include: where imports are looked for; guessed from the packages of the files where it is empty.
        compiled: write a compiled set beside the definitions and let them use that, so that they can
            be served where protoc is not installed.
        force: also write over definitions that were edited.

    A file that was edited since it was written is kept unless `force` is set. Raises
    ConfigurationError where the sources cannot be used or have no service; nothing is written then.
    """
    protos = _protos(sources)
    roots: list[Path] = []
    if protos:
        roots = [path.resolve() for path in include or [import_root(path) for path in protos]]
        roots = list(dict.fromkeys(roots))
        files = compile_protos(protos, roots)
        wanted = {_within(proto, roots): proto for proto in protos}
    else:
        if include:
            raise ConfigurationError("an include folder goes with .proto files only")
        files = FileDescriptorSet()
        wanted = {}
        for path in sources:
            found = read_set(path)
            files.file.extend(found.file)
            wanted |= {file.name: path for file in found.file}
    contracts = Contracts()
    contracts.add(files.file)
    services = [service for service in contracts.services() if service.file.name in wanted]
    if not services:
        raise ConfigurationError(f"there is no service in {', '.join(str(path) for path in sources)}")

    def source(service: ServiceDescriptor) -> dict[str, Any]:
        path = wanted[service.file.name]
        if protos:
            return {"protos": [_relative(path, out)], "include": [_relative(root, out) for root in roots]}
        return {"set": _relative(path, out)}

    if compiled:
        return _with_set(out, services, files, force)
    out.mkdir(parents=True, exist_ok=True)
    return [_write(out, service, definition_text(service, source(service)), force) for service in services]


def generate_from_set(
    files: FileDescriptorSet, names: Collection[str], out: Path, *, force: bool = False
) -> list[Written]:
    """Write definitions of the named services into the folder `out`, and beside them the set itself.

    This is what is done with the descriptors of a live server, which need not be there when they are
    served. Files are kept as `generate` keeps them. Raises ConfigurationError where the descriptors
    cannot be used, or lack one of the services; nothing is written then.
    """
    contracts = Contracts()
    contracts.add(files.file)
    services = {full_name(service): service for service in contracts.services()}
    lacking = [name for name in names if name not in services]
    if lacking:
        raise ConfigurationError(f"the descriptors lack the services {', '.join(lacking)}")
    return _with_set(out, [services[name] for name in names], files, force)


def _with_set(
    out: Path, services: Iterable[ServiceDescriptor], files: FileDescriptorSet, force: bool
) -> list[Written]:
    out.mkdir(parents=True, exist_ok=True)
    (out / SET_NAME).write_bytes(files.SerializeToString(deterministic=True))
    return [_write(out, service, definition_text(service, {"set": SET_NAME}), force) for service in services]


def definition_text(service: ServiceDescriptor, source: dict[str, Any]) -> str:
    """Return the text of a service's definition; the same text for the same contract."""
    name = full_name(service)
    parts = [_HEAD.format(name=name), _yaml({"service": name, "descriptors": source}), "\n"]
    if not service.methods:
        return "".join([*parts, "methods: {}\n"])
    parts.append("methods:\n")
    for at, method in enumerate(service.methods):
        if at:
            parts.append("\n")
        parts += [f"  # {line}\n" for line in _comments(method)]
        parts.append(_indented(_yaml({method.name: [{"answer": _answer(method)}]})))
    return "".join(parts)


_HEAD = """\
# A fake of the service {name}: `rpe fake serve` with this file serves it.
# Written from its contract by `rpe fake generate`; edit it freely: an edited file is not written over.
#
# Each method has a list of rules. The first one that fits a call answers it, so put rules for some
# calls only before the one for all the others:
#   - when: {{fields: {{some.field: value, other: {{contains: text}}}}, metadata: {{key: {{present: true}}}}}}
#     answer: {{error: {{code: UNAVAILABLE, message: come again}}}}
# A string may hold ${{request.some.field}}. Bytes are base64. delay_s is in seconds.

"""


def _write(out: Path, service: ServiceDescriptor, text: str, force: bool) -> Written:
    path = out / f"{full_name(service)}.yaml"
    whole = f"# digest: {hashlib.sha256(text.encode()).hexdigest()}\n{text}"
    if path.exists():
        old = path.read_bytes().decode("utf-8", errors="replace")
        if old == whole:
            return Written(path, full_name(service), "unchanged")
        if not force and _edited(old):
            return Written(path, full_name(service), "kept")
    path.write_text(whole, encoding="utf-8")
    return Written(path, full_name(service), "written")


def _edited(text: str) -> bool:
    """Say whether a file is other than it was written: its digest is that of the text below."""
    found = _DIGEST.match(text)
    return found is None or found[1] != hashlib.sha256(text[found.end() :].encode()).hexdigest()


def _answer(method: MethodDescriptor) -> dict[str, Any]:
    message = {"message": example(method.output_type)}
    match kind_of(method):
        case "server streaming":
            return {"messages": [message, {**message, "delay_s": 0.05}]}
        case "bidirectional streaming":
            return {"each": [message]}
    return message


def _comments(method: MethodDescriptor) -> list[str]:
    request, answer = method.input_type, method.output_type
    fields = ", ".join(f"{field.name} ({_type(field)})" for field in request.fields) or "none"
    lines = [
        f"{method.name}: {kind_of(method)}, {full_name(request)} to {full_name(answer)}.",
        f"Fields of a request: {fields}.",
        *(f"In an answer, {note}." for note in notes(answer)),
    ]
    return [part for line in lines for part in _wrapped(line)]


def _type(field: FieldDescriptor) -> str:
    if is_map(field):
        key, value = map_parts(field)
        return f"map of {_type(key)} to {_type(value)}"
    kind: Descriptor | Any = field.message_type or field.enum_type
    name = _TYPES[field.type] if kind is None else str(kind.name)
    return f"list of {name}" if field.is_repeated else name


def _wrapped(line: str) -> Iterable[str]:
    import textwrap

    return textwrap.wrap(
        line, _WIDTH - 4, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def _yaml(data: Any) -> str:
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)


class _Dumper(yaml.SafeDumper):
    """Lists are indented below their key, and what is there twice is written twice."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _indented(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())


def _protos(sources: Sequence[Path]) -> list[Path]:
    """Return the `.proto` files among the sources and in their folders; none where they are compiled sets."""
    found: list[Path] = []
    sets = 0
    for path in sources:
        if path.is_dir():
            inside = sorted(path.rglob("*.proto"))
            if not inside:
                raise ConfigurationError(f"there is no .proto file in the folder {path}")
            found += inside
        elif not path.exists():
            raise ConfigurationError(f"there is no {path}")
        elif path.suffix == ".proto":
            found.append(path)
        else:
            sets += 1
    if found and sets:
        raise ConfigurationError("give .proto files or compiled descriptor sets, not both")
    return list(dict.fromkeys(found))


def _within(proto: Path, roots: Sequence[Path]) -> str:
    """Return the name that protoc gives a file: its path below the first root that it is in."""
    path = proto.resolve()
    for root in roots:
        if path.is_relative_to(root):
            return path.relative_to(root).as_posix()
    raise ConfigurationError(f"{proto} is in none of the include folders")


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
