"""Speech cut out of audio, speech to text, text to speech: the engines of `rpe.voice` as nodes.

The work is done in threads (`rpe.voice.threads`), and the loop goes on meanwhile. A node that is cancelled
does not stop the thread: it ends what it has begun, of which nobody takes the result. The packages
that do the work (the extra `voice`) are imported when a node first needs them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from rpe.data import Audio, RuntimeData, Text
from rpe.errors import ConfigurationError
from rpe.node.contract import Emit, NodeCall, NodeType, PipelineNode, node
from rpe.node.params import Params, integer, number, text
from rpe.voice.stt import SpeechToText
from rpe.voice.threads import in_voice_thread
from rpe.voice.tts import PITCH, RATE_WPM, TextToSpeech, is_voice_name
from rpe.voice.vad import SegmenterSettings, SpeechSegmenter

__all__ = ["ESPEAK_NG", "POCKET_SPHINX", "SILERO_VAD"]

_AUDIO, _TEXT = frozenset(["audio"]), frozenset(["text"])


class _SegmenterParams:
    """Reads `SegmenterSettings`; times are in milliseconds."""

    _params = Params(
        number("threshold", 0.5, least=0.01, most=0.99),
        number("min_speech_ms", 250, least=0, most=60_000),
        number("min_silence_ms", 300, least=0, most=60_000),
        number("padding_ms", 100, least=0, most=60_000),
        number("max_segment_ms", 30_000, least=100, most=3_600_000),
    )

    def read(self, raw: Mapping[str, Any], where: str) -> tuple[SegmenterSettings, list[str]]:
        values, problems = self._params.read(raw, where)
        if problems:
            return SegmenterSettings(), problems
        times = {name.replace("_ms", "_s"): values[name] / 1000 for name in values if name != "threshold"}
        try:
            return SegmenterSettings(values["threshold"], **times), []
        except ConfigurationError as error:
            return SegmenterSettings(), [f"{where}: {error.message}"]


class _SileroVad(PipelineNode):
    """Gives each run of speech as one segment, whatever pieces the audio comes in (`SpeechSegmenter`)."""

    __slots__ = ("_segmenter",)

    def __init__(self, call: NodeCall) -> None:
        self._segmenter = SpeechSegmenter(call.params)

    async def process(self, data: RuntimeData, emit: Emit) -> None:
        assert isinstance(data, Audio)  # the runner lets nothing else through
        for segment in await in_voice_thread(self._segmenter.feed, data):
            await emit(segment)

    async def flush(self, emit: Emit) -> None:
        for segment in await in_voice_thread(self._segmenter.flush):
            await emit(segment)


SILERO_VAD = NodeType("SileroVad", _SileroVad, takes=_AUDIO, gives=_AUDIO, params=_SegmenterParams())
"""Cuts speech out of 16 kHz audio."""


@node("PocketSphinx", takes=_AUDIO, gives=_TEXT)
async def POCKET_SPHINX(data: Audio, call: NodeCall) -> Text:  # noqa: N802  # a node type, which is a constant
    """Recognise the English words in each segment of speech."""
    return await in_voice_thread(_recogniser().transcribe, data)


@cache
def _recogniser() -> SpeechToText:
    """The one of this process: its decoders are large."""
    return SpeechToText()


class _VoiceParams:
    """Reads what a `TextToSpeech` is made of."""

    _params = Params(
        text("voice", "en", least=1, most=64),
        integer("rate_wpm", 175, least=RATE_WPM[0], most=RATE_WPM[1]),
        integer("pitch", 50, least=PITCH[0], most=PITCH[1]),
    )

    def read(self, raw: Mapping[str, Any], where: str) -> tuple[Mapping[str, Any], list[str]]:
        values, problems = self._params.read(raw, where)
        if not problems and not is_voice_name(values["voice"]):
            problems = [f"{where}.voice cannot be the name of a voice"]
        return values, problems


@node("EspeakNg", takes=_TEXT, gives=_AUDIO)
async def _espeak_ng(data: Text, call: NodeCall) -> Audio:
    return await in_voice_thread(TextToSpeech(**call.params).speak, data)


ESPEAK_NG = replace(_espeak_ng, params=_VoiceParams())
"""Speaks text in a `voice`, at `rate_wpm` words per minute and `pitch`; the audio is 22050 Hz, int16."""
