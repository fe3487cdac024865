"""The data that the connections of a pipeline carry.

Each variant is immutable, and arrays in it are read-only views: nothing is copied
that need not be. `RuntimeData` is any of them. Only NumPy is imported here.
"""

from __future__ import annotations

from rpe.data.arrays import Numpy, Tensor, TensorDtype
from rpe.data.audio import Audio
from rpe.data.base import FrozenDict, Payload
from rpe.data.control import BatchHint, CancelSpeculation, Control, ControlRecord, DeadlineWarning
from rpe.data.hashing import content_hash
from rpe.data.plain import Binary, File, Json, Text
from rpe.data.visual import Image, ImageFormat, PixelFormat, Video, VideoCodec

__all__ = [
    "Audio",
    "BatchHint",
    "Binary",
    "CancelSpeculation",
    "Control",
    "ControlRecord",
    "DeadlineWarning",
    "File",
    "FrozenDict",
    "Image",
    "ImageFormat",
    "Json",
    "Numpy",
    "Payload",
    "PixelFormat",
    "RuntimeData",
    "Tensor",
    "TensorDtype",
    "Text",
    "Video",
    "VideoCodec",
    "content_hash",
]

RuntimeData = Audio | Video | Image | Text | Json | Tensor | Numpy | Binary | File | Control
