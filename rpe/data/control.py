"""Words to the nodes of a pipeline about the data, travelling among the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from rpe.data.base import EMPTY, Payload, as_labels, assign, check_str, check_uint, invalid
from rpe.data.json_value import check_json

__all__ = ["BatchHint", "CancelSpeculation", "Control", "ControlRecord", "DeadlineWarning"]


@dataclass(frozen=True, slots=True)
class CancelSpeculation:
    """What was computed ahead for this span of time is not wanted any more."""

    from_timestamp: int = 0
    to_timestamp: int = 0

    def __post_init__(self) -> None:
        check_uint(self.from_timestamp, 64, "control.cancel_speculation.from_timestamp")
        check_uint(self.to_timestamp, 64, "control.cancel_speculation.to_timestamp")


@dataclass(frozen=True, slots=True)
class BatchHint:
    """How many items a node had better take at once."""

    suggested_batch_size: int = 0

    def __post_init__(self) -> None:
        check_uint(self.suggested_batch_size, 32, "control.batch_hint.suggested_batch_size")


@dataclass(frozen=True, slots=True)
class DeadlineWarning:
    """Time is running out: the microseconds that are left."""

    deadline_us: int = 0

    def __post_init__(self) -> None:
        check_uint(self.deadline_us, 64, "control.deadline_warning.deadline_us")


ControlRecord = CancelSpeculation | BatchHint | DeadlineWarning


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Control(Payload):
    """A control message.

    message: what it says.
    segment_id: the part of the stream that it is about; empty for no part in particular.
    timestamp_ms: when it was said, in milliseconds of the sender's clock.
    annotations: any JSON value that goes with it.
    """

    kind: ClassVar[str] = "control"

    message: ControlRecord
    segment_id: str = ""
    timestamp_ms: int = 0
    annotations: Any = None
    metadata: Mapping[str, str] = EMPTY

    def __post_init__(self) -> None:
        if not isinstance(self.message, ControlRecord):
            raise invalid(
                "control.message_type",
                f"must be CancelSpeculation, BatchHint or DeadlineWarning, not {type(self.message).__name__}",
            )
        check_str(self.segment_id, "control.segment_id")
        check_uint(self.timestamp_ms, 64, "control.timestamp_ms")
        if self.annotations is not None:
            check_json(self.annotations, "control.annotations")
        if self.metadata is not EMPTY:
            assign(self, "metadata", as_labels(self.metadata, "control.metadata"))
