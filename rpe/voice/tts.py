"""Text to speech by eSpeak NG, through its C interface."""

from __future__ import annotations

import ctypes
import ctypes.util
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from rpe.data import Audio, Text
from rpe.errors import ConfigurationError, DataValidationError
from rpe.voice.packages import require

__all__ = ["ESPEAK_RATE", "PITCH", "RATE_WPM", "TextToSpeech", "is_voice_name"]

ESPEAK_RATE = 22_050
"""Samples per second of what eSpeak NG says, with the voices it comes with."""

RATE_WPM = (80, 450)
"""The slowest and the fastest speech, in words per minute."""

PITCH = (0, 99)
"""The lowest and the highest pitch."""

# Names and numbers of espeak-ng's speak_lib.h.
_AUDIO_OUTPUT_RETRIEVAL = 1
_DONT_EXIT = 0x8000
_POS_CHARACTER = 1
_CHARS_UTF8 = 1
_RATE, _PITCH = 1, 3
_OK = 0

_VOICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]{0,63}")
_SEED = 1
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)

_close = ctypes.CDLL(None).dlclose

# The library is one state for the whole process.
_LOCK = threading.Lock()


def is_voice_name(voice: str) -> bool:
    """Whether this can be the name of a voice: a path, or anything else that eSpeak NG would open, cannot."""
    return _VOICE.fullmatch(voice) is not None


class TextToSpeech:
    """Speaks text. The same text, voice, rate and pitch give the same samples, whatever was said before.

    eSpeak NG carries the phases of its oscillators and the state of its noise from one utterance to
    the next, in variables of its own that nothing resets. So the library is loaded for each utterance
    and taken out of memory after it, which costs a few milliseconds. All instances of a
    process speak one after the other. (Another user of the same library in the process would keep it
    in memory, and its state with it.)

    Arguments:
        voice: a voice of eSpeak NG, such as "en", "en-us", "de" or "en+f3".
        rate_wpm: words per minute, 80 to 450.
        pitch: 0 to 99; 50 is the voice's own.
        max_chars: the longest text taken, in characters.

    Raises ConfigurationError where an argument is out of range, or the library is missing: that of
    the package espeakng-loader, or else the system's.
    """

    def __init__(
        self, *, voice: str = "en", rate_wpm: int = 175, pitch: int = 50, max_chars: int = 5000
    ) -> None:
        for name, value, (least, most) in (("rate_wpm", rate_wpm, RATE_WPM), ("pitch", pitch, PITCH)):
            if not least <= value <= most:
                raise ConfigurationError(f"{name} must be from {least} to {most}, not {value}")
        if not is_voice_name(voice):
            raise ConfigurationError(
                f"{voice!r} cannot be the name of a voice", hint='such as "en" or "en+f3"'
            )
        self._voice = voice
        self._rate_wpm = rate_wpm
        self._pitch = pitch
        self._max_chars = max_chars
        self._library, self._data = _find_library()

    def speak(self, text: Text | str) -> Audio:
        """Return the speech: 22050 Hz, one channel, int16; without samples for blank text.

        The metadata of the text goes along. Blocks for some milliseconds, and about 2 ms for each
        second of speech. Raises DataValidationError for a text longer than `max_chars`,
        ConfigurationError where there is no such voice.
        """
        text = Text(text) if isinstance(text, str) else text
        if len(text.text) > self._max_chars:
            raise DataValidationError(
                f"a text of {len(text.text)} characters is longer than the {self._max_chars} that are spoken"
            )
        words = text.text.replace("\0", " ")  # to the library, it is the end
        samples = self._say(words.encode("utf-8")) if words.strip() else b""
        return Audio(np.frombuffer(samples, np.int16), sample_rate=ESPEAK_RATE, metadata=text.metadata)

    def _say(self, words: bytes) -> bytes:
        said: list[bytes] = []

        def keep(samples: Any, count: int, events: Any) -> int:
            if count > 0:
                said.append(ctypes.string_at(samples, count * 2))
            return 0

        callback = _CALLBACK(keep)
        with _LOCK, _loaded(self._library) as library:
            rate = library.espeak_Initialize(_AUDIO_OUTPUT_RETRIEVAL, 0, self._data, _DONT_EXIT)
            if rate != ESPEAK_RATE:
                raise ConfigurationError(f"eSpeak NG cannot be used: it answers {rate}, not {ESPEAK_RATE} Hz")
            try:
                library.espeak_SetSynthCallback(callback)
                if hasattr(library, "espeak_ng_SetRandSeed"):  # since 1.52
                    library.espeak_ng_SetRandSeed(ctypes.c_long(_SEED))
                if library.espeak_SetVoiceByName(self._voice.encode()) != _OK:
                    raise ConfigurationError(
                        f"eSpeak NG has no voice named {self._voice!r}", hint='such as "en", "en-us" or "de"'
                    )
                library.espeak_SetParameter(_RATE, self._rate_wpm, 0)
                library.espeak_SetParameter(_PITCH, self._pitch, 0)
                size = ctypes.c_size_t(len(words) + 1)
                done = library.espeak_Synth(words, size, 0, _POS_CHARACTER, 0, _CHARS_UTF8, None, None)
                if done != _OK or library.espeak_Synchronize() != _OK:
                    raise ConfigurationError(f"eSpeak NG cannot speak (its error {done})")
            finally:
                library.espeak_Terminate()
        return b"".join(said)


def _find_library() -> tuple[str, bytes | None]:
    """The library's path and that of its data (None: where the library itself looks for it)."""
    try:
        loader = require("espeakng_loader", "text to speech")
        return str(loader.get_library_path()), str(loader.get_data_path()).encode()
    except (ConfigurationError, RuntimeError) as error:
        if (system := ctypes.util.find_library("espeak-ng")) is None:
            raise ConfigurationError(
                f"text to speech needs eSpeak NG: {getattr(error, 'message', error)}",
                hint="pip install rpe[voice], or install libespeak-ng (Debian: libespeak-ng1)",
            ) from error
        return system, None


@contextmanager
def _loaded(path: str) -> Iterator[Any]:
    """Load a library with fresh variables, and unload it at the end."""
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        raise ConfigurationError(
            f"eSpeak NG cannot be loaded: {error}", hint="pip install rpe[voice]"
        ) from error
    try:
        yield library
    finally:
        _close(ctypes.c_void_p(library._handle))
