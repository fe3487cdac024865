"""Voice engines: speech cut out of audio, speech to text, text to speech; all of them on this machine.

Data in, data out, blocking, deterministic: the same input gives the same output, byte by byte,
whatever was asked before and in whatever order. The packages that do the work are the extra
`voice`, and are imported when an engine is made.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rpe.voice.pcm import to_mono_16k
    from rpe.voice.stt import SpeechToText
    from rpe.voice.tts import TextToSpeech
    from rpe.voice.vad import SegmenterSettings, SpeechSegmenter

__all__ = ["SegmenterSettings", "SpeechSegmenter", "SpeechToText", "TextToSpeech", "to_mono_16k"]

_HOMES = {
    "SegmenterSettings": "vad",
    "SpeechSegmenter": "vad",
    "SpeechToText": "stt",
    "TextToSpeech": "tts",
    "to_mono_16k": "pcm",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
