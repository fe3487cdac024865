"""Control and ControlMessage: what it says is tagged by its name, such as {"BatchHint": {...}}."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, fields
from typing import Any

from rpe.data import BatchHint, CancelSpeculation, Control, ControlRecord, DeadlineWarning
from rpe.data.base import invalid
from rpe.data.json_value import dump_json
from rpe.wire.json.columns import Piece
from rpe.wire.json.labels import Labels
from rpe.wire.json.values import as_object, as_tag, given, required

__all__ = ["decode_control", "encode_control"]

_RECORDS: dict[str, type[ControlRecord]] = {
    kind.__name__.lower(): kind for kind in (CancelSpeculation, BatchHint, DeadlineWarning)
}


def encode_control(data: Control, _: dict[str, str]) -> Iterator[Piece]:
    """Yield the object of the message."""
    body = {
        "message_type": {type(data.message).__name__: asdict(data.message)},
        "segment_id": data.segment_id,
        "timestamp_ms": data.timestamp_ms,
        "metadata": data.annotations,
    }
    yield dump_json(body, "control.annotations").encode()


def decode_control(value: Any, metadata: Labels, _: Labels) -> Control:
    """Read the message of an object; the name of what it says may be in snake case."""
    body = as_object(value, "control")
    return Control(
        _record(required(body, "message_type", "control.message_type")),
        given(body, "segment_id", ""),
        given(body, "timestamp_ms", 0),
        body.get("metadata"),
        metadata,
    )


def _record(value: Any) -> ControlRecord:
    name, content = as_tag(value, "control.message_type")
    kind = _RECORDS.get(name.replace("_", "").lower())
    if kind is None:
        raise invalid("control.message_type", f"{name[:40]!r} says nothing that is known here")
    where = f"control.message_type.{kind.__name__}"
    body = as_object(content, where)
    return kind(*[required(body, part.name, f"{where}.{part.name}") for part in fields(kind)])
