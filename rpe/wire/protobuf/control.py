"""Control and ControlMessage."""

from __future__ import annotations

from rpe.data import BatchHint, CancelSpeculation, Control, ControlRecord, DeadlineWarning
from rpe.data.base import invalid
from rpe.data.json_value import dump_json, parse_json
from rpe.wire.generated.remotemedia.v1.common_pb2 import ControlMessage, DataBuffer
from rpe.wire.protobuf.labels import Labels

__all__ = ["decode_control", "encode_control"]


def encode_control(data: Control, buffer: DataBuffer) -> None:
    """Write the message into an empty buffer."""
    control = buffer.control
    match data.message:
        case CancelSpeculation(from_timestamp, to_timestamp):
            control.cancel_speculation.from_timestamp = from_timestamp
            control.cancel_speculation.to_timestamp = to_timestamp
        case BatchHint(suggested_batch_size):
            control.batch_hint.suggested_batch_size = suggested_batch_size
        case DeadlineWarning(deadline_us):
            control.deadline_warning.deadline_us = deadline_us
    control.segment_id = data.segment_id
    control.timestamp_ms = data.timestamp_ms
    if data.annotations is not None:
        control.metadata = dump_json(data.annotations, "control.annotations")


def decode_control(buffer: DataBuffer, metadata: Labels, _: Labels) -> Control:
    """Read the message of a buffer."""
    control = buffer.control
    annotations = parse_json(control.metadata, "control.metadata") if control.metadata else None
    return Control(_record(control), control.segment_id, control.timestamp_ms, annotations, metadata)


def _record(control: ControlMessage) -> ControlRecord:
    match control.WhichOneof("message_type"):
        case "cancel_speculation":
            cancel = control.cancel_speculation
            return CancelSpeculation(cancel.from_timestamp, cancel.to_timestamp)
        case "batch_hint":
            return BatchHint(control.batch_hint.suggested_batch_size)
        case "deadline_warning":
            return DeadlineWarning(control.deadline_warning.deadline_us)
        case _:
            raise invalid("control.message_type", "the message says nothing that is known here")
