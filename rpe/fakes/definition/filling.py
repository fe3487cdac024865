"""Filling a message whose places all hold text: a copy and a few strings, with no JSON on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

__all__ = ["Filling", "Text", "plain_filling"]

Text = Callable[[Message], str]
"""Gives the text of a place, for a request."""


@dataclass(frozen=True, slots=True)
class Filling:
    """A message with what is the same for every request, and the text that goes into its other fields.

    places: for each, the fields that lead to a message, the name of its field, and what gives the text.
    """

    base: Message
    places: tuple[tuple[tuple[str, ...], str, Text], ...]

    def message(self, request: Message) -> Message:
        """Return a new message for a request. Raises what `Text` does, and ValueError for what is no text."""
        message = type(self.base)()
        message.CopyFrom(self.base)
        for way, name, text in self.places:
            here: Any = message
            for step in way:
                here = getattr(here, step)
            setattr(here, name, text(request))
        return message


def plain_filling(
    form: Any,
    kind: Descriptor,
    is_place: Callable[[Any], bool],
    text_of: Callable[[Any], Text | None],
    make: Callable[[Any], Message],
) -> Filling | None:
    """Return how the message of a checked form is filled, or None where it takes more than text in fields.

    Arguments:
        form: by the names of fields; lists, maps and protobuf's own messages have no places here.
        is_place: says whether a part of the form is a place.
        text_of: returns what gives the text of a place; None for one of another kind, or what is none.
        make: makes the message of a form without places.
    """
    places: list[tuple[tuple[str, ...], str, Text]] = []
    rest = _without(form, kind, text_of, (), places)
    if rest is None or any(map(is_place, _values(rest))):
        return None
    return Filling(make(rest), tuple(places))


def _without(
    form: Any,
    kind: Descriptor,
    text_of: Callable[[Any], Text | None],
    way: tuple[str, ...],
    places: list[tuple[tuple[str, ...], str, Text]],
) -> dict[str, Any] | None:
    """Return a form without the places that are text in a field, which are added to `places`."""
    if not isinstance(form, Mapping) or kind.full_name.startswith("google.protobuf."):
        return None
    rest: dict[str, Any] = {}
    for name, value in form.items():
        field = kind.fields_by_name[name]
        text = text_of(value)
        if text is not None and field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated:
            places.append((way, name, text))
            continue
        inner = None
        if field.message_type is not None and not field.is_repeated:
            inner = _without(value, field.message_type, text_of, (*way, name), places)
        rest[name] = value if inner is None else inner
    return rest


def _values(form: Any) -> Iterator[Any]:
    """Yield everything that a form holds, however deep."""
    if isinstance(form, Mapping | list):
        for value in form.values() if isinstance(form, Mapping) else form:
            yield from _values(value)
    else:
        yield form
