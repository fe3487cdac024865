"""What the protobuf wire has no field for travels as labels in `DataBuffer.metadata`.

| label | of | is |
|---|---|---|
| `rpe.image.format` | Image | jpeg, png, webp or raw; marks a BinaryBuffer as an Image |
| `rpe.image.width`, `rpe.image.height` | Image | pixels, in decimal |
| `rpe.image.pixel_format` | Image, raw | such as RGB24 |
| `rpe.image.timestamp_us` | Image | in decimal |
| `rpe.stream_id` | Video, Image | the stream it belongs to |
| `rpe.annotations` | Tensor | JSON |

A reader that knows none of them sees plain content with a few more labels.
"""

from __future__ import annotations

from collections.abc import Mapping

from rpe.data.base import EMPTY, FrozenDict, invalid
from rpe.wire.generated.remotemedia.v1.common_pb2 import DataBuffer

__all__ = [
    "ANNOTATIONS",
    "IMAGE_FORMAT",
    "IMAGE_HEIGHT",
    "IMAGE_PIXEL_FORMAT",
    "IMAGE_TIMESTAMP_US",
    "IMAGE_WIDTH",
    "STREAM_ID",
    "Labels",
    "read_labels",
    "read_number",
    "write_labels",
]

Labels = Mapping[str, str]

IMAGE_FORMAT = "rpe.image.format"
IMAGE_WIDTH = "rpe.image.width"
IMAGE_HEIGHT = "rpe.image.height"
IMAGE_PIXEL_FORMAT = "rpe.image.pixel_format"
IMAGE_TIMESTAMP_US = "rpe.image.timestamp_us"
STREAM_ID = "rpe.stream_id"
ANNOTATIONS = "rpe.annotations"

_OURS = frozenset(
    [IMAGE_FORMAT, IMAGE_WIDTH, IMAGE_HEIGHT, IMAGE_PIXEL_FORMAT, IMAGE_TIMESTAMP_US, STREAM_ID, ANNOTATIONS]
)


def write_labels(metadata: Labels, buffer: DataBuffer) -> None:
    """Put the caller's own labels into the buffer; raises DataValidationError where one is taken."""
    if taken := _OURS.intersection(metadata):
        raise invalid("metadata", f"{', '.join(sorted(taken))}: such labels are set by the codec")
    buffer.metadata.update(metadata)


def read_labels(buffer: DataBuffer) -> tuple[Labels, Labels]:
    """The caller's own labels of a buffer, and those of this codec."""
    labels = dict(buffer.metadata)
    if _OURS.isdisjoint(labels):
        return FrozenDict(labels), EMPTY
    ours = {key: labels.pop(key) for key in _OURS if key in labels}
    return FrozenDict(labels) if labels else EMPTY, ours


def read_number(labels: Labels, key: str, field: str) -> int:
    """The decimal number of a label; 0 where there is none."""
    text = labels.get(key, "0")
    if not (text.isascii() and text.isdecimal() and len(text) <= 20):
        raise invalid(field, f"the label {key} is no number: {text[:40]!r}")
    return int(text)
