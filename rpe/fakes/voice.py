"""Speech to text, text to speech and a text transform as nodes of a fake.

They do what the nodes of these names in the local runner do, by the same engines. Importing this module
registers them; a `FakeProcess` has them with `modules=["rpe.fakes.voice"]`. The packages that do the
work (the extra `voice`) are imported when a node first needs them. The work is done in threads
(`rpe.voice.threads`), which end what they have begun also where a call is cancelled.

The fakes of one process remember their last answers, by the content of what was asked. Under faults
the same segment is sent to several of them and more than once, and recognising it each time would
keep the machine busy with what is known. What a fake is asked, and what it answers, stays the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future as Making
from contextlib import suppress
from dataclasses import replace
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from rpe.data import Audio, RuntimeData, Text
from rpe.errors import ConfigurationError
from rpe.fakes.nodes import NodeCall, NodeFunction, node
from rpe.transport.serving import ErrorType
from rpe.voice.threads import VOICE_THREADS

if TYPE_CHECKING:
    from rpe.voice.stt import SpeechToText

__all__ = ["REMEMBERED", "VOICE_NODES"]

REMEMBERED = 256
"""How many answers are remembered, of each kind."""

_Answer = TypeVar("_Answer", Text, Audio)


@node("PocketSphinx")
async def _pocket_sphinx(data: RuntimeData, call: NodeCall) -> RuntimeData:
    """Recognise the English words in a segment of speech."""
    if not isinstance(data, Audio):
        raise call.failed(f"takes audio, not {data.kind}", ErrorType.TYPE_VALIDATION)
    key = _key(data.samples.tobytes(), data.samples.dtype, data.sample_rate, data.channels)
    words = await _remember(_heard, key, lambda: _recogniser().transcribe(data))
    return replace(words, metadata=data.metadata)


@node("EspeakNg")
async def _espeak_ng(data: RuntimeData, call: NodeCall) -> RuntimeData:
    """Speak text in a `voice`, at `rate_wpm` words per minute and `pitch`."""
    if not isinstance(data, Text):
        raise call.failed(f"takes text, not {data.kind}", ErrorType.TYPE_VALIDATION)
    from rpe.voice.tts import TextToSpeech

    voice, rate_wpm, pitch = (
        _text(call, "voice", "en"),
        _whole(call, "rate_wpm", 175),
        _whole(call, "pitch", 50),
    )
    try:
        engine = TextToSpeech(voice=voice, rate_wpm=rate_wpm, pitch=pitch)
    except ConfigurationError as error:
        raise call.failed(error.message, ErrorType.VALIDATION) from error
    key = _key(data.text.encode(), voice, rate_wpm, pitch)
    speech = await _remember(_said, key, lambda: engine.speak(data))
    return replace(speech, metadata=data.metadata)


@node("Template")
def _template(data: RuntimeData, call: NodeCall) -> RuntimeData:
    """Put text into a `template` wherever it says `{text}`."""
    if not isinstance(data, Text):
        raise call.failed(f"takes text, not {data.kind}", ErrorType.TYPE_VALIDATION)
    template = _text(call, "template", "")
    if "{text}" not in template:
        raise call.failed("template must hold {text}, where the text goes", ErrorType.VALIDATION)
    return replace(data, text=template.replace("{text}", data.text))


VOICE_NODES: Mapping[str, NodeFunction] = MappingProxyType(
    {"PocketSphinx": _pocket_sphinx, "EspeakNg": _espeak_ng, "Template": _template}
)
"""The node types of this module, by name."""

_heard: OrderedDict[bytes, Text] = OrderedDict()
_said: OrderedDict[bytes, Audio] = OrderedDict()


_making: dict[bytes, Making[Any]] = {}
_turn = threading.Lock()


async def _remember(memory: OrderedDict[bytes, _Answer], key: bytes, make: Callable[[], _Answer]) -> _Answer:
    """The answer that is remembered, or one that a thread makes, for all that wait for it."""
    with _turn:
        if (known := memory.get(key)) is not None:
            memory.move_to_end(key)
            return known
        making = _making.get(key)
        if making is None:
            making = _making[key] = VOICE_THREADS.submit(_make, memory, key, make)
    loop = asyncio.get_running_loop()
    told: asyncio.Future[None] = loop.create_future()

    def tell(_: object) -> None:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(lambda: None if told.done() else told.set_result(None))

    making.add_done_callback(tell)
    await told
    answer: _Answer = making.result()
    return answer


def _make(memory: OrderedDict[bytes, _Answer], key: bytes, make: Callable[[], _Answer]) -> _Answer:
    """Make an answer and remember it, also where nobody waits for it any more."""
    try:
        answer = make()
        with _turn:
            memory[key] = answer
            while len(memory) > REMEMBERED:
                memory.popitem(last=False)
        return answer
    finally:
        with _turn:
            del _making[key]


def _key(content: bytes, *rest: object) -> bytes:
    return hashlib.sha256(repr(rest).encode() + b"\0" + content).digest()


@cache
def _recogniser() -> SpeechToText:
    """The one of this process: its decoders are large."""
    from rpe.voice.stt import SpeechToText

    return SpeechToText()


def _text(call: NodeCall, name: str, default: str) -> str:
    value = call.params.get(name, default)
    if not isinstance(value, str):
        raise call.failed(f"{name} must be a text, not {value!r}", ErrorType.VALIDATION)
    return value


def _whole(call: NodeCall, name: str, default: int) -> int:
    value = call.number(name, default)
    if value != int(value):
        raise call.failed(f"{name} must be a whole number, not {value:g}", ErrorType.VALIDATION)
    return int(value)
