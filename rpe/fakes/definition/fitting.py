"""Whether what a template takes from a request can fit where it is put, as far as the types say."""

from __future__ import annotations

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from rpe.fakes.definition.paths import FieldPath, is_map

__all__ = ["misfit"]

_FITTING = {
    "number": ("number", "enum"),
    "bool": ("bool",),
    "enum": ("enum",),
    "text": ("text", "number", "bool", "enum", "bytes"),  # it depends on the text
    "bytes": ("bytes", "text"),
}


def misfit(source: FieldPath, root: Descriptor, target: FieldDescriptor, *, element: bool) -> str | None:
    """Return why a value of the request can never be the value of a field; None where it can be.

    Arguments:
        source, root: the place in the request, and the type of the request.
        target: the field; with `element`, one element of it.
    """
    given, wanted = _source_shape(source, root), _shape(target, whole=not element)
    if given == wanted or wanted.startswith("google.protobuf.") or given.startswith("google.protobuf."):
        return None
    if wanted in _FITTING.get(given, ()):
        return None
    return f"a {given} from request{f'.{source.text}' if source.text else ''} is no {wanted}"


def _source_shape(source: FieldPath, root: Descriptor) -> str:
    if source.field is None or source.value_field is None:
        return root.full_name
    return _shape(source.value_field, whole=not source.element)


def _shape(field: FieldDescriptor, *, whole: bool) -> str:
    if field.is_repeated and whole:
        return "map" if is_map(field) else f"list of {_shape(field, whole=False)}"
    if field.message_type is not None:
        return field.message_type.full_name
    if field.enum_type is not None:
        return "enum"
    if field.type == FieldDescriptor.TYPE_BYTES:
        return "bytes"
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return "text"
    return "bool" if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL else "number"
