"""Example messages, built from a descriptor alone: the same ones each time."""

from __future__ import annotations

import base64
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from rpe.fakes.definition.paths import is_map, map_parts

__all__ = ["MAX_DEPTH", "example", "notes"]

MAX_DEPTH = 6
"""How deep messages are filled inside one another; what lies deeper is left out."""

_WELL_KNOWN: dict[str, Any] = {
    "Timestamp": "2020-01-01T00:00:00Z",
    "Duration": "1.5s",
    "FieldMask": "name",
    "Struct": {"key": "value"},
    "Value": "value",
    "ListValue": ["value"],
    "Any": {},
    "Empty": {},
    "StringValue": "text",
    "BytesValue": "dGV4dA==",
    "BoolValue": True,
    "Int32Value": 1,
    "Int64Value": 1,
    "UInt32Value": 1,
    "UInt64Value": 1,
    "FloatValue": 1.5,
    "DoubleValue": 1.5,
}
"""The JSON forms of the messages that protobuf gives a form of their own."""

_FLOATS = (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE)


def example(kind: Descriptor) -> dict[str, Any]:
    """Return an example of a message in the JSON form of proto3, with the names of the contract.

    Every field has a value, of a oneof its first member; a message inside itself is left out.
    """
    form = _message(kind, ())
    return form if isinstance(form, dict) else {}


def notes(kind: Descriptor) -> list[str]:
    """Return what an example does not show: the other members of oneofs, and the values of enums."""
    found: list[str] = []
    _note(kind, "", (), found)
    return found


def _message(kind: Descriptor, above: tuple[str, ...]) -> Any:
    well_known = _WELL_KNOWN.get(kind.name) if kind.full_name.startswith("google.protobuf.") else None
    if well_known is not None:
        return well_known
    inside = (*above, kind.full_name)
    form: dict[str, Any] = {}
    filled: set[str] = set()
    for field in kind.fields:
        oneof = field.containing_oneof
        if (oneof is not None and oneof.name in filled) or _cut_off(field, inside):
            continue
        if oneof is not None:
            filled.add(oneof.name)
        form[field.name] = _field(field, inside)
    return form


def _cut_off(field: FieldDescriptor, inside: tuple[str, ...]) -> bool:
    kind = map_parts(field)[1].message_type if is_map(field) else field.message_type
    if kind is None:
        return False
    return kind.full_name in inside or len(inside) >= MAX_DEPTH


def _field(field: FieldDescriptor, inside: tuple[str, ...]) -> Any:
    if is_map(field):
        key, value = map_parts(field)
        return {_key(key): _single(value, inside)}
    value = _single(field, inside)
    return [value] if field.is_repeated else value


def _key(field: FieldDescriptor) -> str:
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return "key"
    return "true" if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL else "1"


def _single(field: FieldDescriptor, inside: tuple[str, ...]) -> Any:
    if field.message_type is not None:
        return _message(field.message_type, inside)
    if field.enum_type is not None:
        return next((item.name for item in field.enum_type.values if item.number), _first(field))
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return True
    if field.type == FieldDescriptor.TYPE_BYTES:
        return base64.b64encode(field.name.encode()).decode("ascii")
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return field.name
    return 1.5 if field.cpp_type in _FLOATS else 1


def _first(field: FieldDescriptor) -> str:
    assert field.enum_type is not None
    return field.enum_type.values[0].name


def _note(kind: Descriptor, path: str, above: tuple[str, ...], found: list[str]) -> None:
    if kind.full_name.startswith("google.protobuf."):
        return
    inside = (*above, kind.full_name)
    noted: set[str] = set()
    for field in kind.fields:
        oneof = field.containing_oneof
        if oneof is not None and len(oneof.fields) > 1 and oneof.name not in noted:
            noted.add(oneof.name)
            names = ", ".join(member.name for member in oneof.fields)
            found.append(f"{path}{oneof.name} is one of: {names}")
        elif oneof is not None and oneof.name in noted:
            continue
        value = map_parts(field)[1] if is_map(field) else field
        if value.enum_type is not None:
            names = ", ".join(item.name for item in value.enum_type.values)
            found.append(f"{path}{field.name} is one of: {names}")
        if value.message_type is not None and not _cut_off(field, inside):
            _note(value.message_type, f"{path}{field.name}.", inside, found)
