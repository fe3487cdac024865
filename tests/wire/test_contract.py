"""The compiled contracts against `contract.txt`, a table that was not made from the .proto files."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor as MessageDescriptor
from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor, FileDescriptor, ServiceDescriptor
from google.protobuf.message import Message

from rpe.wire.generated.remotemedia.v1 import common_pb2, execution_pb2, streaming_pb2
from rpe.wire.generated.remotemedia.v1.webrtc import signaling_pb2

TABLE = Path(__file__).with_name("contract.txt")

FILES = (common_pb2.DESCRIPTOR, execution_pb2.DESCRIPTOR, streaming_pb2.DESCRIPTOR, signaling_pb2.DESCRIPTOR)

SCALARS = {
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_DOUBLE: "double",
    FieldDescriptor.TYPE_UINT32: "uint32",
    FieldDescriptor.TYPE_UINT64: "uint64",
    FieldDescriptor.TYPE_INT64: "int64",
}


def type_name(field: FieldDescriptor) -> str:
    if field.message_type is not None:
        return field.message_type.name
    return field.enum_type.name if field.enum_type is not None else SCALARS[field.type]


def describe_field(field: FieldDescriptor) -> str:
    kind, name = type_name(field), field.name
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        entry = field.message_type.fields_by_name
        kind = f"map<{type_name(entry['key'])},{type_name(entry['value'])}>"
    elif field.is_repeated:
        kind += "[]"
    elif field.containing_oneof is not None and not field.containing_oneof.name.startswith("_"):
        name = f"{field.containing_oneof.name}.{name}"
    elif field.has_presence and field.message_type is None:
        kind += "?"
    return f"{kind} {name} {field.number}"


def describe_message(message: MessageDescriptor) -> str:
    return f"{message.name}: {', '.join(map(describe_field, message.fields))}".strip()


def describe_enum(enum: EnumDescriptor) -> str:
    prefixes = {value.name.removesuffix("_UNSPECIFIED") for value in enum.values if not value.number}
    (prefix,) = prefixes
    assert all(value.name.startswith(f"{prefix}_") for value in enum.values)
    values = " ".join(f"{value.name.removeprefix(prefix + '_')}={value.number}" for value in enum.values)
    return f"{enum.name} {prefix}: {values}"


def describe_service(service: ServiceDescriptor) -> list[str]:
    return [
        f"{service.name}.{method.name}: {'stream ' * method.client_streaming}{method.input_type.name}"
        f" -> {'stream ' * method.server_streaming}{method.output_type.name}"
        for method in service.methods
    ]


def describe_file(file: FileDescriptor) -> set[str]:
    messages = list(file.message_types_by_name.values())
    enums = [
        *file.enum_types_by_name.values(),
        *(enum for message in messages for enum in message.enum_types),
    ]
    methods = [line for service in file.services_by_name.values() for line in describe_service(service)]
    return {
        *(f"message {describe_message(message)}" for message in messages),
        *(f"enum {describe_enum(enum)}" for enum in enums),
        *(f"rpc {method}" for method in methods),
    }


def expected() -> dict[str, set[str]]:
    files: dict[str, set[str]] = {}
    lines: set[str] = set()
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if line.startswith("file "):
            lines = files.setdefault(line, set())
        elif line and not line.startswith("#"):
            lines.add(line)
    return files


TABLE_OF_FILES = expected()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_message_field_enum_and_method_is_as_in_the_table(file: FileDescriptor) -> None:
    assert describe_file(file) == TABLE_OF_FILES[f"file {file.name} package {file.package}"]


def test_the_table_has_these_files_and_no_other() -> None:
    assert len(TABLE_OF_FILES) == len(FILES)


@pytest.mark.parametrize(
    ("message", "field", "full_name"),
    [
        (execution_pb2.ExecuteRequest, "resource_limits", "remotemedia.v1.ResourceLimits"),
        (streaming_pb2.StreamResponse, "error", "remotemedia.v1.ErrorResponse"),
        (signaling_pb2.SignalingResponse, "error", "remotemedia.v1.webrtc.ErrorResponse"),
        (streaming_pb2.StreamControl, "command", "remotemedia.v1.StreamControl.Command"),
    ],
)
def test_types_of_one_name_are_told_apart(message: type[Message], field: str, full_name: str) -> None:
    descriptor = message.DESCRIPTOR.fields_by_name[field]
    kind = descriptor.message_type or descriptor.enum_type
    assert kind is not None
    assert kind.full_name == full_name


def test_the_older_audio_chunk_is_marked_deprecated() -> None:
    field = streaming_pb2.StreamRequest.DESCRIPTOR.fields_by_name["audio_chunk"]
    assert field.GetOptions().deprecated
