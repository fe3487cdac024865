"""Making an answer wrong in its meaning, by the descriptor of its message."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, assert_never

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor, FieldDescriptor, OneofDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from rpe.fakes.mouth.encoding import field_bytes, varint
from rpe.fakes.mouth.script_wrong import (
    EnumOutOfRange,
    MissingField,
    SwappedTypes,
    UnknownFields,
    WrongFault,
    WrongOneof,
)
from rpe.wire.generated.remotemedia.v1 import execution_pb2, streaming_pb2

__all__ = ["CannotApply", "answer_descriptor", "made_wrong"]

_POOLS = (execution_pb2.DESCRIPTOR.pool, streaming_pb2.DESCRIPTOR.pool, descriptor_pool.Default())
_FIRST_UNKNOWN = 2048
_NUMBER, _EIGHT_BYTES, _FOUR_BYTES = 0, 1, 5
"""Wire types; that of bytes is written by `field_bytes`."""

_AS_BYTES = {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES, FieldDescriptor.TYPE_MESSAGE}
_AS_FOUR_BYTES = {FieldDescriptor.TYPE_FIXED32, FieldDescriptor.TYPE_SFIXED32, FieldDescriptor.TYPE_FLOAT}


class CannotApply(Exception):
    """The message has no place for what is to be wrong with it; the text says which."""


def answer_descriptor(path: str, pool: DescriptorPool | None = None) -> Descriptor | None:
    """Return what the answers of a method are, by its path such as `/package.Service/Method`; or None.

    Looks into the pool, the contracts of rpe, and what generated modules have told when they were imported.
    """
    service, _, method = path.removeprefix("/").rpartition("/")
    for known in (pool, *_POOLS):
        try:
            found = None if known is None else known.FindServiceByName(service)
        except KeyError:
            continue
        if found is not None and method in found.methods_by_name:
            answer: Descriptor = found.methods_by_name[method].output_type
            return answer
    return None


def made_wrong(fault: WrongFault, kind: Descriptor | None, payload: bytes) -> tuple[bytes, str]:
    """Return a message with something wrong about it, and the name of what that was done to.

    Raises CannotApply where there is no such place in it, and where its kind would have to be known.
    """
    if kind is None:
        if isinstance(fault, UnknownFields):
            return payload + _unknown(fault.count), ""
        raise CannotApply("nobody has told what messages of this method are")
    message: Any = GetMessageClass(kind)()
    try:
        message.ParseFromString(payload)
    except DecodeError as error:
        raise CannotApply(f"the answer is no {kind.full_name}") from error
    place = _change(fault, message)
    return bytes(message.SerializeToString()), place


def _change(fault: WrongFault, message: Any) -> str:
    match fault:
        case WrongOneof():
            return _set_other_member(fault, message)
        case EnumOutOfRange():
            part, field = _find_enum(message, fault.field)
            setattr(part, field.name, fault.value)
            return str(field.full_name)
        case SwappedTypes():
            part, field = _find_field(message, fault.field)
            part.ClearField(field.name)
            # A reader takes a field of another wire type for one that it does not know, and keeps it so.
            part.MergeFromString(_swapped(field))
            return str(field.full_name)
        case MissingField():
            part, field = _find_field(message, fault.field)
            part.ClearField(field.name)
            return str(field.full_name)
        case UnknownFields():
            for part in list(_parts(message)):
                part.MergeFromString(_unknown(fault.count))
            return ""
        case _:
            assert_never(fault)


def _set_other_member(fault: WrongOneof, message: Any) -> str:
    for part in _parts(message):
        for oneof in _real_oneofs(part.DESCRIPTOR):
            now = part.WhichOneof(oneof.name)
            if now is None or (fault.oneof and oneof.name != fault.oneof):
                continue
            names = [field.name for field in oneof.fields]
            other = fault.member or names[(names.index(now) + 1) % len(names)]
            if other == now or other not in names:
                continue
            _move(part, now, other)
            return f"{part.DESCRIPTOR.full_name}: {other}, not {now}"
    wanted = f"oneof={fault.oneof!r} member={fault.member!r}"
    raise CannotApply(f"no oneof that is set could have another member ({wanted})")


def _move(part: Any, now: str, other: str) -> None:
    """Set another member of a oneof, and give it the content of the other one, where it can hold it."""
    value = getattr(part, now)
    held = value.SerializeToString() if isinstance(value, Message) else None
    part.ClearField(now)
    target = getattr(part, other)
    if not isinstance(target, Message):
        setattr(part, other, target)
        return
    target.SetInParent()
    if held is not None:
        try:
            target.MergeFromString(held)
        except DecodeError:
            target.Clear()
            target.SetInParent()


def _find_enum(message: Any, name: str) -> tuple[Any, FieldDescriptor]:
    for part in _parts(message):
        for field in part.DESCRIPTOR.fields:
            single = field.type == FieldDescriptor.TYPE_ENUM and not field.is_repeated
            if single and field.name == (name or field.name):
                return part, field
    raise CannotApply(f"there is no enum {name}".rstrip())


def _find_field(message: Any, name: str) -> tuple[Any, FieldDescriptor]:
    for part in _parts(message):
        for field, _ in part.ListFields():
            if field.name == (name or field.name):
                return part, field
    raise CannotApply(f"no field {name} is set".replace("  ", " "))


def _parts(message: Any) -> Iterator[Any]:
    """Yield a message and all that it holds, the outermost first."""
    waiting = deque([message])
    while waiting:
        part = waiting.popleft()
        yield part
        for field, value in part.ListFields():
            if field.type != FieldDescriptor.TYPE_MESSAGE:
                continue
            if not field.is_repeated:
                waiting.append(value)
            elif not field.message_type.GetOptions().map_entry:
                waiting.extend(value)
            elif field.message_type.fields_by_name["value"].type == FieldDescriptor.TYPE_MESSAGE:
                waiting.extend(value[key] for key in sorted(value))


def _real_oneofs(kind: Descriptor) -> list[OneofDescriptor]:
    """Return the oneofs of a message, without those of one member that `optional` is made of."""
    return [oneof for oneof in kind.oneofs if len(oneof.fields) > 1]


def _swapped(field: FieldDescriptor) -> bytes:
    if field.type in _AS_BYTES:
        return varint(field.number << 3 | _NUMBER) + varint(1)
    if not field.is_repeated:
        return field_bytes(field.number, b"swapped")
    # Several numbers may come packed into bytes, or one by one: both would be right.
    if field.type in _AS_FOUR_BYTES:
        return varint(field.number << 3 | _EIGHT_BYTES) + bytes(8)
    return varint(field.number << 3 | _FOUR_BYTES) + bytes(4)


def _unknown(count: int) -> bytes:
    """Return so many fields of numbers and bytes in turn, whose tags no contract has."""
    made = b""
    for index in range(count):
        number = _FIRST_UNKNOWN + index
        made += (
            field_bytes(number, b"unknown") if index % 2 else varint(number << 3 | _NUMBER) + varint(index)
        )
    return made
