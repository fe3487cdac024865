"""What the checks send: a pipeline of one node, and data of the kinds that every wire carries."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rpe.data import Audio, Binary, Json, RuntimeData, Text, content_hash
from rpe.manifest.model import Manifest
from rpe.testing.fidelity.model import NotApplicable, Violation

__all__ = ["NODE", "check_same", "check_same_answers", "only_output", "pipeline", "samples"]

NODE = "fidelity"
"""The id of the one node."""

_SHOWN = 80


def pipeline(node_type: str) -> Manifest:
    """Return the pipeline that the checks run."""
    return Manifest.single(NODE, node_type=node_type)


def samples() -> dict[str, RuntimeData]:
    """Return one piece of data of each kind, by what it is called."""
    tone = np.sin(np.arange(320, dtype=np.float32) / 8).astype(np.float32)
    return {
        "text": Text("grüße, 世界 \N{MUSICAL SYMBOL G CLEF}"),
        "JSON": Json({"a": [1, -2.5, None, True], "ü": {"deep": ["x"]}}),
        "bytes": Binary(bytes(range(256))),
        "sound": Audio(tone, 16_000, 1),
    }


def only_output(outputs: Mapping[str, RuntimeData]) -> RuntimeData:
    """Return the one output, under whichever name it came. Raises Violation for none, or several."""
    if len(outputs) != 1:
        raise Violation(f"one output is due, and {len(outputs)} came: {', '.join(sorted(outputs)) or 'none'}")
    return next(iter(outputs.values()))


def check_same(sent: RuntimeData, came: RuntimeData, what: str) -> None:
    """Raises Violation where what came is not what was sent."""
    if content_hash(sent) != content_hash(came):
        raise Violation(f"{what} came back as {_shown(came)}, and was sent as {_shown(sent)}")


def check_same_answers(first: RuntimeData, second: RuntimeData) -> None:
    """Compare the answers to two identical requests by content.

    Raises Violation where they differ, and NotApplicable where their labels differ too: the
    server then says itself that it did something else.
    """
    if content_hash(first) == content_hash(second):
        return
    told = f"{_shown(first)}, then {_shown(second)}"
    if first.metadata != second.metadata:
        names = sorted(
            name
            for name in {*first.metadata, *second.metadata}
            if first.metadata.get(name) != second.metadata.get(name)
        )
        raise NotApplicable(f"the answers differ, and so do their labels ({', '.join(names)}): {told}")
    raise Violation(f"identical requests were answered by {told}")


def _shown(data: RuntimeData) -> str:
    text = repr(data)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
