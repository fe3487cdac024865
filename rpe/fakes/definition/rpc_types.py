"""The types of google.rpc that details of errors are made of, as they are published for all languages.

They are built here, in a pool of their own: the package that has them need not be installed, and
a contract that brings its own is not disturbed. Numbers and names are those of google/rpc/status.proto
and google/rpc/error_details.proto.
"""

from __future__ import annotations

from functools import cache

from google.protobuf import any_pb2, duration_pb2
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool

__all__ = ["rpc_pool"]

_TYPES: dict[str, str] = {
    "Status": "code=int32 message=string details=google.protobuf.Any*",
    "RetryInfo": "retry_delay=google.protobuf.Duration",
    "DebugInfo": "stack_entries=string* detail=string",
    "ErrorInfo": "reason=string domain=string metadata=google.rpc.ErrorInfo.MetadataEntry*",
    "ErrorInfo.MetadataEntry": "key=string value=string",
    "QuotaFailure": "violations=google.rpc.QuotaFailure.Violation*",
    "QuotaFailure.Violation": "subject=string description=string",
    "PreconditionFailure": "violations=google.rpc.PreconditionFailure.Violation*",
    "PreconditionFailure.Violation": "type=string subject=string description=string",
    "BadRequest": "field_violations=google.rpc.BadRequest.FieldViolation*",
    "BadRequest.FieldViolation": (
        "field=string description=string reason=string localized_message=google.rpc.LocalizedMessage"
    ),
    "RequestInfo": "request_id=string serving_data=string",
    "ResourceInfo": "resource_type=string resource_name=string owner=string description=string",
    "Help": "links=google.rpc.Help.Link*",
    "Help.Link": "description=string url=string",
    "LocalizedMessage": "locale=string message=string",
}
"""Each message, and its fields in the order of their numbers from 1; a star is for repeated ones."""

_SCALARS = {"int32": FieldDescriptorProto.TYPE_INT32, "string": FieldDescriptorProto.TYPE_STRING}


@cache
def rpc_pool() -> DescriptorPool:
    """Return the pool that has them."""
    file = FileDescriptorProto(name="google/rpc/error_details.proto", package="google.rpc", syntax="proto3")
    made: dict[str, DescriptorProto] = {}
    for name, fields in _TYPES.items():
        above, _, own = name.rpartition(".")
        message = made[above].nested_type.add(name=own) if above else file.message_type.add(name=own)
        made[name] = message
        if own == "MetadataEntry":
            message.options.map_entry = True
        for number, field in enumerate(fields.split(), 1):
            _add_field(message, number, field)
    pool = DescriptorPool()
    for imported in (any_pb2, duration_pb2):
        known = FileDescriptorProto.FromString(imported.DESCRIPTOR.serialized_pb)
        pool.Add(known)
        file.dependency.append(known.name)
    pool.Add(file)
    return pool


def _add_field(message: DescriptorProto, number: int, told: str) -> None:
    name, _, kind = told.partition("=")
    many = kind.endswith("*")
    field = message.field.add(name=name, number=number)
    field.label = FieldDescriptorProto.LABEL_REPEATED if many else FieldDescriptorProto.LABEL_OPTIONAL
    scalar = _SCALARS.get(kind.rstrip("*"))
    if scalar is None:
        field.type = FieldDescriptorProto.TYPE_MESSAGE
        field.type_name = f".{kind.rstrip('*')}"
    else:
        field.type = scalar
