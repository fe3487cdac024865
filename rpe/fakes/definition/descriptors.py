"""Descriptors of services: from `.proto` files, by protoc, or from a compiled descriptor set."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path

from google.protobuf.descriptor import Descriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from rpe.errors import ConfigurationError

__all__ = ["Contracts", "compile_protos", "full_name", "import_root", "kind_of", "read_set"]

_PACKAGE = re.compile(r"^\s*package\s+([\w.]+)\s*;", re.MULTILINE)


class Contracts:
    """A pool of descriptors of its own: other stubs of the same contracts cannot clash with it."""

    def __init__(self) -> None:
        self.pool = DescriptorPool()
        self._files: dict[str, FileDescriptorProto] = {}

    def add(self, files: Iterable[FileDescriptorProto]) -> None:
        """Take in files whose imports are among them, or here already.

        Raises ConfigurationError where another file of the same name is here, an import is
        missing, files import each other in a circle, or the descriptors contradict each other.
        """
        waiting = {file.name: file for file in files}
        above: list[str] = []

        def take(name: str, of: str) -> None:
            if name in above:
                circle = " imports ".join([*above[above.index(name) :], name])
                raise ConfigurationError(f"the descriptors go round in a circle: {circle}")
            file = waiting.pop(name, None)
            if file is None:
                if name not in self._files:
                    raise ConfigurationError(
                        f"{of} imports {name}, which is not in the descriptor set",
                        hint="compile it with --include_imports",
                    )
                return
            above.append(name)
            for imported in file.dependency:
                take(imported, name)
            above.pop()
            known = self._files.get(name)
            if known is not None:
                if known != file:
                    raise ConfigurationError(f"there are two different files {name} among the descriptors")
                return
            try:
                self.pool.Add(file)
                self.pool.FindFileByName(name)
            except (TypeError, KeyError, ValueError) as error:
                raise ConfigurationError(f"the descriptors of {name} cannot be used: {error}") from error
            self._files[name] = file

        for name in list(waiting):
            take(name, name)

    def services(self) -> list[ServiceDescriptor]:
        """Return the services of all files, sorted by their full names."""
        found = [
            service
            for name in self._files
            for service in self.pool.FindFileByName(name).services_by_name.values()
        ]
        return sorted(found, key=full_name)

    @staticmethod
    def message_class(descriptor: Descriptor) -> type[Message]:
        """Return the class of a message of this pool."""
        return GetMessageClass(descriptor)


def full_name(part: ServiceDescriptor | MethodDescriptor | Descriptor) -> str:
    """Return the full name of a part of a contract, without a leading dot."""
    return str(part.full_name)


def kind_of(method: MethodDescriptor) -> str:
    """Return which of the four kinds of call a method is, in gRPC's words."""
    match method.client_streaming, method.server_streaming:
        case False, False:
            return "unary"
        case False, True:
            return "server streaming"
        case True, False:
            return "client streaming"
    return "bidirectional streaming"


def import_root(proto: Path) -> Path:
    """Return the folder that imports are counted from: above the folders that are named like the package."""
    try:
        found = _PACKAGE.search(proto.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{proto} cannot be read: {error}") from error
    folder = proto.resolve().parent
    parts = found[1].split(".") if found else []
    if parts and folder.parts[-len(parts) :] == tuple(parts):
        return Path(*folder.parts[: -len(parts)])
    return folder


def compile_protos(protos: Sequence[Path], include: Sequence[Path] = ()) -> FileDescriptorSet:
    """Compile `.proto` files, with all that they import, in a process of protoc's own.

    Imports are looked for in `include`, or, where it is empty, in the import roots of the files.
    Raises ConfigurationError with protoc's own words where a file does not compile, and with
    what to install where grpcio-tools is missing.
    """
    if find_spec("grpc_tools") is None:
        raise ConfigurationError(
            "the compiler for .proto files is missing",
            hint="pip install grpcio-tools, or use a compiled set: protoc --include_imports -o FILE",
        )
    for path in (*protos, *include):
        if not path.exists():
            raise ConfigurationError(f"there is no {path}")
    roots = list(dict.fromkeys(path.resolve() for path in include or [import_root(path) for path in protos]))
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "set"
        options = [f"--proto_path={root}" for root in roots]
        options += ["--include_imports", f"--descriptor_set_out={out}"]
        done = subprocess.run(
            [sys.executable, "-m", "grpc_tools.protoc", *options, *(str(path.resolve()) for path in protos)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ConfigurationError(
                f"the .proto files do not compile:\n{done.stderr.strip()}",
                hint="imports are looked for in " + ", ".join(str(root) for root in roots),
            )
        return FileDescriptorSet.FromString(out.read_bytes())


def read_set(path: Path) -> FileDescriptorSet:
    """Read a compiled descriptor set. Raises ConfigurationError where the file holds none."""
    try:
        found = FileDescriptorSet.FromString(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror or error}") from error
    except DecodeError as error:
        raise ConfigurationError(f"{path} is not a compiled descriptor set") from error
    if not found.file or not all(file.name for file in found.file):
        raise ConfigurationError(f"{path} is not a compiled descriptor set, or an empty one")
    return found
