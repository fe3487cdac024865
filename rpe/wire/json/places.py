"""Where in a message a part of the data stands: the names of its fields, in the words of the wire."""

from __future__ import annotations

from rpe.errors import DataValidationError
from rpe.wire.json import labels

__all__ = ["placed"]

# By the names that the data and its decoders use; the longer ones first.
_PLACES = {
    "audio.annotations": "data.Audio.metadata",
    "audio": "data.Audio",
    "video": "data.Video",
    "image.pixel_format": "data.Image.format.Raw.pixel_format",
    "image": "data.Image",
    "text.encoding": f"metadata.{labels.TEXT_ENCODING}",
    "text.text_data": "data.Text",
    "json.value": "data.Json",
    "binary.data": "data.Binary",
    "tensor.annotations": "data.Tensor.metadata",
    "tensor": "data.Tensor",
    "numpy": "data.Numpy",
    "file": "data.File",
    "control.annotations": "data.ControlMessage.metadata",
    "control.cancel_speculation": "data.ControlMessage.message_type.CancelSpeculation",
    "control.batch_hint": "data.ControlMessage.message_type.BatchHint",
    "control.deadline_warning": "data.ControlMessage.message_type.DeadlineWarning",
    "control": "data.ControlMessage",
}


def placed(error: DataValidationError, where: str) -> DataValidationError:
    """The same error with its field as a path in the message, from the part of it called `where`."""
    field = error.field or ""
    place = field
    for name, path in _PLACES.items():
        if field.startswith(name) and field[len(name) : len(name) + 1] in ("", ".", "["):
            place = path + field[len(name) :]
            break
    place = ".".join(part for part in (where, place) if part)
    return DataValidationError(error.message.removeprefix(f"{field}: "), field=place, hint=error.hint)
