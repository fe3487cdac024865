"""Speech to text by PocketSphinx, with its own model of US English."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rpe.data import Audio, Text
from rpe.errors import ConfigurationError, DataValidationError
from rpe.voice.pcm import to_mono_16k
from rpe.voice.sphinx import SphinxDecoder, load_sphinx

__all__ = ["SpeechToText"]


class SpeechToText:
    """Recognises words in whole segments of speech. One instance serves any number of threads.

    The words depend on the samples alone, whatever was decoded before, in which order, and by which
    instance (see `SphinxDecoder.decode`).

    Arguments:
        decoders: how many segments are decoded at once; further callers wait. A decoder is made
            at its first need, and stays.
        max_s: the longest segment taken, in seconds.

    Raises ConfigurationError where the package is missing.
    """

    def __init__(self, *, decoders: int = 2, max_s: float = 60.0) -> None:
        if decoders < 1:
            raise ConfigurationError(f"decoders must be at least 1, not {decoders}")
        load_sphinx()
        self._max_s = max_s
        self._places = threading.BoundedSemaphore(decoders)
        self._idle: list[SphinxDecoder] = []

    def transcribe(self, audio: Audio) -> Text:
        """Return the words in small letters with blanks between, or no text where none is heard.

        The metadata of the audio goes along. Blocks for about a quarter of the time that the audio
        sounds, outside of Python's lock. Raises DataValidationError for audio longer than `max_s`.
        """
        if audio.duration_s > self._max_s:
            raise DataValidationError(
                f"a segment of {audio.duration_s:.1f} s is longer than the {self._max_s:g} s that are taken",
                hint="cut the audio into segments first",
            )
        samples = to_mono_16k(audio).samples
        words = ""
        if len(samples):
            with self._decoder() as decoder:
                words = decoder.decode(samples.tobytes())
        return Text(words, language="en", metadata=audio.metadata)

    @contextmanager
    def _decoder(self) -> Iterator[SphinxDecoder]:
        """Lend a decoder; one that has failed is not used again."""
        with self._places:
            try:
                decoder = self._idle.pop()
            except IndexError:
                decoder = SphinxDecoder()
            yield decoder
            self._idle.append(decoder)
