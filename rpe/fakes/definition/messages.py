"""Messages of a definition: checked against their descriptor at once, and made for each call.

A string may hold `${request.field.path}`. Alone it stands for the value as it is (a number, a
list, a message); inside other text for the value as text. `$${` stands for `${` itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from rpe.fakes.definition.filling import Filling, Text, plain_filling
from rpe.fakes.definition.fitting import misfit
from rpe.fakes.definition.paths import MISSING, FieldPath, PathWrong, element_of, is_map, map_parts
from rpe.fakes.definition.problems import Found
from rpe.lined_yaml import Path

__all__ = ["MessageTemplate", "TemplateFailed", "TextTemplate", "field_value", "parsed", "read_message"]

_PLACE = re.compile(r"\$\$\{|\$\{([^}]*)\}")
_BASE64 = re.compile(r"(?:[\w+/-]{4})*(?:[\w+/-]{2,3}=?=?)?$", re.ASCII)
_ROOT = "request"
_FREE = tuple(f"google.protobuf.{name}" for name in ("Struct", "Value", "ListValue"))
"""Messages whose form is any JSON: templates can be anywhere in it."""


class TemplateFailed(Exception):
    """A request has no value at a template's place, or one that does not fit there."""


@dataclass(frozen=True, slots=True)
class TextTemplate:
    """Text with places that the request fills. `parts` has text and paths in turn."""

    parts: tuple[str | FieldPath, ...]

    @property
    def fixed(self) -> bool:
        """Whether the text is the same for every request."""
        return all(isinstance(part, str) for part in self.parts)

    def value(self, request: Message) -> Any:
        """Return the value where the text is one place alone, else the text. Raises TemplateFailed."""
        if len(self.parts) == 1 and isinstance(self.parts[0], FieldPath):
            return _value_at(self.parts[0], request)
        return self.text(request)

    def text(self, request: Message) -> str:
        """Return the text, filled from the request. Raises TemplateFailed."""
        return "".join(
            part if isinstance(part, str) else _as_text(_value_at(part, request)) for part in self.parts
        )

    @classmethod
    def parse(cls, text: str, request: Descriptor) -> TextTemplate:
        """Read a text. Raises PathWrong where a place leads nowhere in requests of this type."""
        parts: list[str | FieldPath] = []
        end = 0
        for found in _PLACE.finditer(text):
            _add_text(parts, text[end : found.start()])
            end = found.end()
            if found[1] is None:
                _add_text(parts, "${")
                continue
            root, _, path = found[1].strip().partition(".")
            if root != _ROOT:
                raise PathWrong(f"{found[0]!r}: a template is ${{request.field.path}}")
            parts.append(FieldPath.parse(path, request))
        _add_text(parts, text[end:])
        return cls(tuple(parts))


@dataclass(frozen=True, slots=True)
class MessageTemplate:
    """A message to send: always the same one, or one that each request fills."""

    type: type[Message]
    form: Any
    fixed: Message | None
    fixed_bytes: bytes = b""
    filling: Filling | None = None

    def message(self, request: Message) -> Message:
        """Return the message for a request; not to be changed. Raises TemplateFailed."""
        if self.fixed is not None:
            return self.fixed
        try:
            if self.filling is not None:
                return self.filling.message(request)
            return parsed(self.type, _filled(self.form, request))
        except (ParseError, ValueError) as error:
            raise TemplateFailed(f"what the request holds does not fit into the answer: {error}") from error


@dataclass(frozen=True, slots=True)
class _Place:
    """A string with places, at a field: text is wanted where the field is text."""

    template: TextTemplate
    wants_text: bool


def parsed(kind: type[Message], form: Any) -> Message:
    """Return a message from its JSON form. Raises ParseError."""
    pool: Any = kind.DESCRIPTOR.file.pool
    return ParseDict(form, kind(), descriptor_pool=pool)


def field_value(field: FieldDescriptor, value: Any, *, element: bool = False) -> Any:
    """Return a field's value, or that of one element of it, from its JSON form. Raises ParseError."""
    owner = field.containing_type
    assert owner is not None
    if element and is_map(field):
        return field_value(map_parts(field)[1], value)
    message = parsed(GetMessageClass(owner), {field.name: [value] if element else value})
    if value is None:
        raise ParseError("null is no value")
    held = getattr(message, field.name)
    return held[0] if element else held


def read_message(
    form: Any, kind: Descriptor, request: Descriptor | None, path: Path
) -> tuple[MessageTemplate | None, list[Found]]:
    """Check the JSON form of a message of this type, whose templates are over requests of that type.

    Returns the message, or None with every mistake and its path. Without `request`, text is text.
    """
    reader = _Reader(request)
    read = reader.message(form, kind, path)
    if reader.problems:
        return None, reader.problems
    made = GetMessageClass(kind)
    try:
        fixed = None if reader.places else parsed(made, read)
        # A proto2 message may lack what it must have: that shows here.
        wire = b"" if fixed is None else fixed.SerializeToString()
    except (ParseError, ValueError) as error:
        return None, [(path, str(error))]
    except Exception as error:  # EncodeError, of a class that differs between protobuf's engines
        return None, [(path, f"{error}")]
    filling = _filling(read, made) if reader.places else None
    return MessageTemplate(made, read, fixed, wire, filling), []


def _filling(form: Any, made: type[Message]) -> Filling | None:
    kind: Any = made.DESCRIPTOR
    return plain_filling(form, kind, _is_place, _text_of, partial(parsed, made))


def _is_place(form: Any) -> bool:
    return isinstance(form, _Place)


def _text_of(form: Any) -> Text | None:
    return form.template.text if isinstance(form, _Place) and form.wants_text else None


class _Reader:
    def __init__(self, request: Descriptor | None) -> None:
        self._request = request
        self.problems: list[Found] = []
        self.places = 0

    def message(self, form: Any, kind: Descriptor, path: Path) -> Any:
        if kind.full_name in _FREE and self._request is not None:
            before = self.places
            free = self._free(form, path)
            if self.places > before:
                return free
        if kind.full_name.startswith("google.protobuf."):
            return self._checked(form, path, lambda: parsed(GetMessageClass(kind), form))
        if not isinstance(form, Mapping):
            return self._wrong(path, f"{kind.full_name} is a mapping of fields and values")
        read: dict[str, Any] = {}
        members: dict[str, str] = {}
        by_json = {field.json_name: field for field in kind.fields}
        for name, value in form.items():
            field = kind.fields_by_name.get(name) or by_json.get(name)
            here = (*path, name)
            if field is None:
                names = ", ".join(item.name for item in kind.fields) or "none"
                self._wrong(here, f"{kind.full_name} has no such field; its fields: {names}")
                continue
            if field.name in read:
                self._wrong(here, f"the field {field.name} is given twice, under both of its names")
                continue
            oneof = field.containing_oneof
            if oneof is not None:
                if oneof.name in members:
                    other = members[oneof.name]
                    self._wrong(here, f"only one of the oneof {oneof.name} can be set, and {other} is")
                members[oneof.name] = field.name
            read[field.name] = self._field(value, field, here)
        return read

    def _free(self, form: Any, path: Path) -> Any:
        """Read a part of a message that can hold any JSON."""
        if isinstance(form, Mapping):
            return {key: self._free(value, (*path, key)) for key, value in form.items()}
        if isinstance(form, list):
            return [self._free(item, (*path, at)) for at, item in enumerate(form)]
        return self._template(form, path) if self._is_place(form) else form

    def _field(self, value: Any, field: FieldDescriptor, path: Path) -> Any:
        if not field.is_repeated:
            return self._single(value, field, path)
        if self._is_place(value):
            return self._text(value, field, path, element=False)
        if not is_map(field):
            if not isinstance(value, list):
                return self._wrong(path, "this field is repeated: its value is a list")
            return [self._single(item, field, (*path, at)) for at, item in enumerate(value)]
        if not isinstance(value, Mapping):
            return self._wrong(path, "this field is a map: its value is a mapping")
        value_field = map_parts(field)[1]
        for key in value:
            self._checked(key, (*path, key), partial(element_of, key, field))
        return {key: self._single(item, value_field, (*path, key)) for key, item in value.items()}

    def _single(self, value: Any, field: FieldDescriptor, path: Path) -> Any:
        if value is None and not _takes_null(field):
            return self._wrong(path, "null is no value: leave the field out")
        element = bool(field.is_repeated)
        if field.message_type is not None:
            if self._is_place(value):
                return self._text(value, field, path, element=element)
            return self.message(value, field.message_type, path)
        if self._is_place(value):
            return self._text(value, field, path, element=element)
        if field.type == FieldDescriptor.TYPE_BYTES and isinstance(value, str) and not _BASE64.match(value):
            return self._wrong(path, "this is not base64, which is how bytes are written")
        return self._checked(value, path, lambda: field_value(field, value, element=element))

    def _is_place(self, value: Any) -> bool:
        return isinstance(value, str) and self._request is not None and "${" in value

    def _text(self, text: str, field: FieldDescriptor, path: Path, *, element: bool) -> Any:
        wants_text = field.type == FieldDescriptor.TYPE_STRING and element == bool(field.is_repeated)
        read = self._template(text, path, wants_text=wants_text)
        if isinstance(read, str):
            return self._checked(read, path, lambda: field_value(field, read, element=element))
        place = read.template.parts[0] if read is not None and len(read.template.parts) == 1 else None
        if isinstance(place, FieldPath) and not wants_text:
            assert self._request is not None
            wrong = misfit(place, self._request, field, element=element or not field.is_repeated)
            if wrong is not None:
                return self._wrong(path, wrong)
        return read

    def _template(self, text: str, path: Path, *, wants_text: bool = False) -> _Place | str | None:
        """Read a text with places; plain text where there are none after all."""
        assert self._request is not None
        try:
            template = TextTemplate.parse(text, self._request)
        except PathWrong as error:
            self._wrong(path, str(error))
            return None
        if template.fixed:
            return "".join(part for part in template.parts if isinstance(part, str))
        self.places += 1
        return _Place(template, wants_text)

    def _checked(self, value: Any, path: Path, check: Callable[[], object]) -> Any:
        try:
            check()
        except (ParseError, PathWrong, ValueError, TypeError) as error:
            return self._wrong(path, str(error))
        return value

    def _wrong(self, path: Path, text: str) -> None:
        self.problems.append((path, text))


def _takes_null(field: FieldDescriptor) -> bool:
    kind = field.message_type or field.enum_type
    return kind is not None and kind.full_name in ("google.protobuf.Value", "google.protobuf.NullValue")


def _filled(form: Any, request: Message) -> Any:
    if isinstance(form, _Place):
        return form.template.text(request) if form.wants_text else form.template.value(request)
    if isinstance(form, Mapping):
        return {key: _filled(value, request) for key, value in form.items()}
    if isinstance(form, list):
        return [_filled(item, request) for item in form]
    return form


def _value_at(path: FieldPath, request: Message) -> Any:
    value = path.json(request)
    if value is MISSING:
        raise TemplateFailed(f"the request has nothing at {path.text}")
    return value


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        import json

        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _add_text(parts: list[str | FieldPath], text: str) -> None:
    if not text:
        return
    if parts and isinstance(parts[-1], str):
        parts[-1] += text
    else:
        parts.append(text)
