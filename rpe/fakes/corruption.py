"""Breaking answers: what of it can be done without knowing the wire."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace

from rpe.data import Audio, RuntimeData, Text
from rpe.fakes.behaviour import BodyHow, CorruptMode, EventHow
from rpe.transport.serving import Damage

__all__ = ["BODY_DAMAGE", "DAMAGE", "EVENT_DAMAGE", "garbage", "strangers"]

DAMAGE: Mapping[CorruptMode, Damage] = {
    CorruptMode.TRUNCATED_MESSAGE: Damage.TRUNCATED,
    CorruptMode.BAD_UTF8: Damage.BAD_UTF8,
    CorruptMode.SHORT_AUDIO: Damage.SHORT_AUDIO,
    CorruptMode.EMPTY_ONEOF: Damage.EMPTY,
}
"""The modes that only the wire's server can bring about."""

BODY_DAMAGE: Mapping[BodyHow, Damage] = {
    BodyHow.CUT: Damage.CUT_BODY,
    BodyHow.WRONG_LENGTH: Damage.WRONG_LENGTH,
}
EVENT_DAMAGE: Mapping[EventHow, Damage] = {
    EventHow.SLOW: Damage.SLOW,
    EventHow.DUPLICATE: Damage.DUPLICATE,
    EventHow.LATE: Damage.LATE,
    EventHow.CUT: Damage.CUT_BODY,
}


def garbage(rng: random.Random, size: int = 64) -> bytes:
    """Return random bytes that are no protobuf message: there is no field of the kind they begin with."""
    return b"\x07" + rng.randbytes(size - 1)


def strangers(outputs: Mapping[str, RuntimeData]) -> dict[str, RuntimeData]:
    """Return faultless outputs of the same names that answer another request: each differs in content."""
    return {name: _stranger(data) for name, data in outputs.items()}


def _stranger(data: RuntimeData) -> RuntimeData:
    if isinstance(data, Audio) and data.samples.size:
        audio = data.to_float32()
        return replace(audio, samples=audio.samples + audio.samples.dtype.type(0.25))
    said = data.text if isinstance(data, Text) else data.kind
    return Text(f"the answer to another request ({len(said)})")
