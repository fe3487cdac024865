"""Answers that are wrong on purpose: well-formed HTTP around JSON that breaks its contract."""

from __future__ import annotations

import json
from typing import Any

from rpe.transport.serving import Damage

__all__ = ["damaged"]


def damaged(payload: bytes, damage: Damage | None) -> bytes:
    """Return the JSON of an answer, broken in the way asked for.

    BAD_UTF8 puts bytes into the first text of it that are in no encoding. SHORT_AUDIO takes
    a sample away, so that the channels do not come out even, and puts broken audio in the
    place of data of another kind: the damage is there whatever the pipeline gave. What is
    done to the connection and not to the text (CUT_BODY and such) leaves it as it is.
    """
    if damage is Damage.EMPTY:
        return b"{}"
    if damage is Damage.TRUNCATED:
        return payload[: max(1, len(payload) // 2)]
    if damage is Damage.BAD_UTF8:
        head, quote, tail = payload.partition(b'"')
        return head + quote + b"\xff\xfe\xfd" + tail
    if damage is Damage.SHORT_AUDIO:
        return json.dumps(_with_short_audio(json.loads(payload))).encode()
    return payload


def _with_short_audio(answer: Any) -> Any:
    transport = answer.get("output", answer)
    audio = transport["data"].get("Audio") or {"samples": [0.0], "sample_rate": 16_000}
    samples = audio["samples"] or [0.0]
    odd = samples if len(samples) % 2 else samples[:-1]
    audio["channels"], audio["samples"] = 2, odd
    transport["data"] = {"Audio": audio}
    return answer
