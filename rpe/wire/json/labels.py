"""What this wire has no field for travels as labels in `TransportData.metadata`.

| label | of | is | left out for |
|---|---|---|---|
| `rpe-audio-format` | Audio | `i16` or `i32`: what the samples were before they became floats | float32 |
| `rpe-text-encoding` | Text | such as `utf-16` | utf-8 |
| `rpe-text-language` | Text | such as `en` | one that is not said |
| `rpe-text-channel` | Text | where the text is to go | `tts` |
| `rpe-json-schema-type` | Json | what the value is | one that is not said |
| `rpe-binary-mime-type` | Binary | such as `application/pdf` | one that is not said |
| `rpe-tensor-layout` | Tensor | such as `NCHW` | one that is not said |

Every label that begins with `rpe-` is the wire's: the codec's, or one that the transport
put there and reads in `Transport.metadata`. All others are those of the data itself
(`Payload.metadata`). A reader that knows none of ours sees plain data with a few more
labels; data without them gets defaults, and a label of another variant says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rpe.data.base import EMPTY, FrozenDict, as_labels
from rpe.errors import DataValidationError

__all__ = [
    "AUDIO_FORMAT",
    "BINARY_MIME_TYPE",
    "JSON_SCHEMA_TYPE",
    "TENSOR_LAYOUT",
    "TEXT_CHANNEL",
    "TEXT_ENCODING",
    "TEXT_LANGUAGE",
    "Labels",
    "merge_labels",
    "read_labels",
]

Labels = Mapping[str, str]

AUDIO_FORMAT = "rpe-audio-format"
TEXT_ENCODING = "rpe-text-encoding"
TEXT_LANGUAGE = "rpe-text-language"
TEXT_CHANNEL = "rpe-text-channel"
JSON_SCHEMA_TYPE = "rpe-json-schema-type"
BINARY_MIME_TYPE = "rpe-binary-mime-type"
TENSOR_LAYOUT = "rpe-tensor-layout"

_PREFIX = "rpe-"
_OURS = frozenset(
    [
        AUDIO_FORMAT,
        TEXT_ENCODING,
        TEXT_LANGUAGE,
        TEXT_CHANNEL,
        JSON_SCHEMA_TYPE,
        BINARY_MIME_TYPE,
        TENSOR_LAYOUT,
    ]
)


def merge_labels(own: Labels, more: Labels) -> dict[str, str]:
    """The labels of the data with those of the transport, whose word is the last on a key that both have.

    Raises DataValidationError where the data has a label of the wire, or the transport one of the codec.
    """
    if not own and not more:
        return {}
    taken = [key for key in own if key.startswith(_PREFIX)]
    if more:
        taken += _OURS.intersection(as_labels(more, "metadata"))
    if taken:
        raise DataValidationError(
            f"{', '.join(sorted(taken))}: labels that begin with {_PREFIX} are set by the wire",
            field="metadata",
            hint="give it another name",
        )
    return {**own, **more}


def read_labels(value: Any) -> tuple[Labels, Labels, Labels]:
    """The metadata of a TransportData, parted: labels of the data, those beside the codec's, the codec's.

    Raises DataValidationError where it maps anything but text to text; null is none.
    """
    if value is None:
        return EMPTY, EMPTY, EMPTY
    labels = as_labels(value, "metadata")
    wire = [key for key in labels if key.startswith(_PREFIX)]
    if not wire:
        return labels, labels, EMPTY
    ours = {key: labels[key] for key in wire if key in _OURS}
    beside = {key: text for key, text in labels.items() if key not in ours}
    own = {key: text for key, text in beside.items() if not key.startswith(_PREFIX)}
    return FrozenDict(own) if own else EMPTY, FrozenDict(beside) if beside else EMPTY, ours
