"""Many items become one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rpe.data import Audio, RuntimeData, Text
from rpe.errors import DataValidationError
from rpe.node.contract import Emit, NodeCall, NodeType, PipelineNode
from rpe.node.params import Params, integer, text

__all__ = ["COLLECT"]

_KINDS = frozenset(["audio", "text"])


class _Collect(PipelineNode):
    """Holds all items back until the input ends, and gives them as one, or nothing where none came.

    Audio is put end to end: all of it must have one rate and number of channels, and where the
    sample types differ the result is float32. Texts are joined with `separator`. What else is
    said of the data (language, timestamps, metadata) is taken from the first item.
    """

    __slots__ = ("_bytes", "_items", "_most_bytes", "_separator")

    def __init__(self, call: NodeCall) -> None:
        self._separator: str = call.params["separator"]
        self._most_bytes: int = call.params["max_bytes"]
        self._items: list[Audio | Text] = []
        self._bytes = 0

    async def process(self, data: RuntimeData, emit: Emit) -> None:
        assert isinstance(data, Audio | Text)  # the runner lets nothing else through
        size = data.samples.nbytes if isinstance(data, Audio) else len(data.text.encode(data.encoding))
        if self._items:
            self._check_like_first(data)
        if self._bytes + size > self._most_bytes:
            raise DataValidationError(
                f"more than {self._most_bytes} bytes to collect", hint="raise max_bytes of this node"
            )
        self._items.append(data)
        self._bytes += size

    def _check_like_first(self, data: Audio | Text) -> None:
        first = self._items[0]
        if data.kind != first.kind:
            raise DataValidationError(f"{data.kind} cannot be collected together with {first.kind}", hint="")
        if isinstance(data, Audio) and isinstance(first, Audio):
            shapes = [(item.sample_rate, item.channels) for item in (first, data)]
            if shapes[0] != shapes[1]:
                told = " and ".join(f"{rate} Hz of {channels} channels" for rate, channels in shapes)
                raise DataValidationError(
                    f"audio of {told} cannot be put end to end", hint="put a Resample node before this one"
                )

    async def flush(self, emit: Emit) -> None:
        audio = [item for item in self._items if isinstance(item, Audio)]
        texts = [item for item in self._items if isinstance(item, Text)]
        self._items, self._bytes = [], 0
        if audio:
            if len({item.samples.dtype for item in audio}) > 1:
                audio = [item.to_float32() for item in audio]
            await emit(replace(audio[0], samples=np.concatenate([item.samples for item in audio])))
        if texts:
            await emit(replace(texts[0], text=self._separator.join(item.text for item in texts)))


COLLECT = NodeType(
    "Collect",
    _Collect,
    takes=_KINDS,
    gives=None,
    params=Params(text("separator", " "), integer("max_bytes", 2**28, least=1)),
)
"""Gathers all items into one. `max_bytes` bounds what it holds: samples and encoded text, in bytes."""
