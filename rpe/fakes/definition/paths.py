"""Dotted paths into messages: checked against a descriptor once, then followed in each message."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

__all__ = ["MISSING", "FieldPath", "PathWrong", "element_of", "is_map", "json_form", "map_parts"]

MISSING: Any = object()
"""What a path leads to where there is nothing: past the end of a list, or a key that a map lacks."""

_FLOATS = (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE)


class PathWrong(Exception):
    """A path does not lead anywhere in messages of its type."""


def is_map(field: FieldDescriptor) -> bool:
    """Say whether a field is a map."""
    return bool(field.is_repeated and field.message_type and field.message_type.GetOptions().map_entry)


def map_parts(field: FieldDescriptor) -> tuple[FieldDescriptor, FieldDescriptor]:
    """Return the fields of a map's keys and values."""
    entry = field.message_type
    assert entry is not None
    return entry.fields_by_name["key"], entry.fields_by_name["value"]


@dataclass(frozen=True, slots=True)
class FieldPath:
    """A way from a message to a field, or to an element of a list or a map.

    steps: fields, positions and keys in turn. field: the last field. element: whether the path
    leads to one element of that field. The empty path is the message itself, and has no field.
    """

    text: str
    steps: tuple[FieldDescriptor | int | str | bool, ...]
    field: FieldDescriptor | None
    element: bool

    @classmethod
    def parse(cls, text: str, descriptor: Descriptor) -> FieldPath:
        """Read `a.b.0.key` for messages of this type; names as in the contract, or as in JSON.

        Raises PathWrong with the names that there are.
        """
        steps: list[FieldDescriptor | int | str | bool] = []
        here: Descriptor | None = descriptor
        field: FieldDescriptor | None = None
        open_ = False  # whether the last field is a list or a map of which no element was picked
        for part in text.split(".") if text else ():
            if open_:
                assert field is not None
                steps.append(element_of(part, field))
                open_ = False
                values = map_parts(field)[1] if is_map(field) else field
                here = values.message_type
                continue
            if here is None:
                raise PathWrong(f"{text!r} goes on after a plain value: {part!r} has no place there")
            field = _named(here, part)
            if field is None:
                names = ", ".join(item.name for item in here.fields) or "none"
                raise PathWrong(f"{here.full_name} has no field {part!r}; its fields: {names}")
            steps.append(field)
            open_ = bool(field.is_repeated)
            here = None if open_ else field.message_type
        return cls(text, tuple(steps), field, field is not None and bool(field.is_repeated) and not open_)

    @property
    def value_field(self) -> FieldDescriptor | None:
        """The field whose type the value has: of a map's element, that of its values."""
        if self.field is not None and self.element and is_map(self.field):
            return map_parts(self.field)[1]
        return self.field

    def value(self, message: Message) -> Any:
        """Follow the path; the defaults of what is not set, and MISSING where an element is not there."""
        here: Any = message
        for step in self.steps:
            if isinstance(step, FieldDescriptor):
                here = getattr(here, step.name)
            elif isinstance(step, int) and not isinstance(step, bool) and not _mapping(here):
                if step >= len(here):
                    return MISSING
                here = here[step]
            else:
                if step not in here:
                    return MISSING
                here = here[step]
        return here

    def present(self, message: Message) -> bool:
        """Say whether the field is set: by its presence where it has one, else by not being its default."""
        here: Any = message
        for step in self.steps:
            if isinstance(step, FieldDescriptor):
                if step.has_presence:
                    if not here.HasField(step.name):
                        return False
                elif step is self.steps[-1]:
                    value = getattr(here, step.name)
                    return bool(len(value)) if step.is_repeated else value != step.default_value
                here = getattr(here, step.name)
            elif _mapping(here):
                if step not in here:
                    return False
                here = here[step]
            else:
                assert isinstance(step, int)
                if step >= len(here):
                    return False
                here = here[step]
        return True

    def json(self, message: Message) -> Any:
        """Return what the path leads to in the JSON form of proto3; MISSING where it leads nowhere."""
        value = self.value(message)
        field = self.value_field
        if value is MISSING or field is None:
            return value if value is MISSING else json_form(value)
        if self.field is not None and self.field.is_repeated and not self.element:
            if is_map(self.field):
                values = map_parts(self.field)[1]
                return {_key(key): _plain(value[key], values) for key in value}
            return [_plain(item, field) for item in value]
        return _plain(value, field)


def json_form(message: Message) -> dict[str, Any]:
    """Return a message in the JSON form of proto3, with the field names of its contract."""
    pool: Any = message.DESCRIPTOR.file.pool
    return MessageToDict(message, preserving_proto_field_name=True, descriptor_pool=pool)


def _plain(value: Any, field: FieldDescriptor) -> Any:
    if isinstance(value, Message):
        return json_form(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if field.enum_type is not None:
        named = field.enum_type.values_by_number.get(value)
        return value if named is None else named.name
    if field.cpp_type in _FLOATS and isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    return value


def _key(key: Any) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)


def _mapping(value: Any) -> bool:
    return hasattr(value, "keys")


def _named(descriptor: Descriptor, name: str) -> FieldDescriptor | None:
    found = descriptor.fields_by_name.get(name)
    return found or next((field for field in descriptor.fields if field.json_name == name), None)


def element_of(part: str, field: FieldDescriptor) -> int | str | bool:
    """Return a position in a repeated field, or a key of a map, from its text. Raises PathWrong."""
    if not is_map(field):
        if not part.isdecimal():
            raise PathWrong(f"{field.name} is a list; {part!r} is not a position in it, from 0")
        return int(part)
    key = map_parts(field)[0]
    if key.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return part
    if key.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        if part in ("true", "false"):
            return part == "true"
    elif part.removeprefix("-").isdecimal():
        return int(part)
    raise PathWrong(f"{part!r} is no key of the map {field.name}")
