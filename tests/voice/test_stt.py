from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from rpe.data import Audio, Text
from rpe.errors import ConfigurationError, DataValidationError
from rpe.voice.sphinx import SphinxDecoder
from rpe.voice.stt import SpeechToText

SPEECH = Path(__file__).parents[2] / "fakes/media/speech"


@cache
def engine() -> SpeechToText:
    return SpeechToText()


@cache
def pieces() -> list[Audio]:
    """Parts of the recordings, about a second each."""
    rng = random.Random(5)
    cut = []
    for path in sorted(SPEECH.glob("*.wav")):
        samples = Audio.from_wav(path).samples
        length = rng.randint(9_000, 20_000)
        start = rng.randint(0, len(samples) - length)
        cut.append(Audio(samples[start : start + length], sample_rate=16_000))
    return cut


def test_words_are_heard() -> None:
    audio = Audio.from_wav(SPEECH / "sense-and-sensibility-0890.wav", metadata={"start_s": "0.2"})
    heard = engine().transcribe(audio)
    assert "to be rather cold hearted and rather selfish is" in heard.text
    assert (heard.language, heard.metadata) == ("en", {"start_s": "0.2"})


def test_what_was_decoded_before_changes_nothing() -> None:
    """A decoder that is not set back hears other words in a quarter of these pieces."""
    samples = [piece.samples.tobytes() for piece in pieces()]
    decoder = SphinxDecoder()
    order = list(range(len(samples)))
    forth = {i: decoder.decode(samples[i]) for i in order}
    back = {i: decoder.decode(samples[i]) for i in reversed(order)}
    assert forth == back
    decoder.close()
    other = SphinxDecoder()
    assert {i: other.decode(samples[i]) for i in order[2:]} == {i: forth[i] for i in order[2:]}
    assert sum(len(words.split()) for words in forth.values()) > 10


def test_threads_hear_the_same() -> None:
    expected = [engine().transcribe(piece) for piece in pieces()]
    with ThreadPoolExecutor(4) as threads:
        heard = list(threads.map(engine().transcribe, pieces()))
    assert heard == expected
    assert len(engine()._idle) <= 2


def test_other_threads_run_while_one_decodes() -> None:
    """With Python's lock held, as the package's own class does, nothing else would run until the end."""
    engine().transcribe(pieces()[0])  # the decoder is loaded
    done = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        began_s = before_s = time.perf_counter()
        longest_s = 0.0
        heard = threads.submit(engine().transcribe, pieces()[0])
        heard.add_done_callback(lambda _: done.set())
        while not done.wait(0.001):
            now_s = time.perf_counter()
            longest_s, before_s = max(longest_s, now_s - before_s), now_s
    assert longest_s < (time.perf_counter() - began_s) / 2


def test_form_of_the_audio() -> None:
    piece = pieces()[2]
    expected = engine().transcribe(piece)
    assert expected.text
    stereo = Audio(np.repeat(piece.samples, 2), 16_000, 2)
    floats = Audio((piece.samples / 2**15).astype(np.float32), 16_000)
    assert engine().transcribe(stereo) == engine().transcribe(floats) == expected
    assert engine().transcribe(Audio(np.repeat(piece.samples, 2), 32_000)).text


def test_next_to_nothing() -> None:
    for length in (0, 1, 160, 400):
        assert engine().transcribe(Audio(np.zeros(length, np.int16), 16_000)) == Text("", language="en")


def test_limits() -> None:
    with pytest.raises(DataValidationError, match=r"2\.0 s is longer than the 1 s"):
        SpeechToText(max_s=1).transcribe(Audio(np.zeros(32_000, np.int16), 16_000))
    with pytest.raises(ConfigurationError, match="at least 1"):
        SpeechToText(decoders=0)
