from __future__ import annotations

import hashlib
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from rpe.data import Audio, Text
from rpe.errors import ConfigurationError, DataValidationError
from rpe.voice.tts import TextToSpeech

CASES: list[tuple[str, dict[str, Any]]] = [
    ("hello world", {}),
    ("hello world", {"rate_wpm": 300}),
    ("hello world", {"pitch": 90}),
    ("guten Tag, schöne Welt", {"voice": "de"}),
    ("psst, she sells sea shells", {"voice": "en+whisper"}),
    ("had he married a more amiable woman", {"voice": "en-us"}),
]


def say(case: tuple[str, dict[str, Any]]) -> Audio:
    text, how = case
    return TextToSpeech(**how).speak(text)


def test_speech_is_heard() -> None:
    speech = TextToSpeech().speak(Text("hello world", metadata={"k": "v"}))
    assert (speech.sample_rate, speech.channels, speech.samples.dtype.name) == (22_050, 1, "int16")
    assert 0.4 < speech.duration_s < 1.5
    assert np.abs(speech.samples.astype(np.int32)).max() > 5000
    assert speech.metadata == {"k": "v"}


def test_each_setting_is_heard() -> None:
    plain, fast, high, *_ = (say(case) for case in CASES)
    assert fast.duration_s < plain.duration_s * 0.75
    assert len({item.samples.tobytes() for item in (plain, fast, high)}) == 3


def test_what_was_said_before_changes_nothing() -> None:
    """Without a fresh library most of these differ: its oscillators and its noise go on where they were."""
    expected = [say(case).samples.tobytes() for case in CASES]
    order = random.Random(2).choices(range(len(CASES)), k=30)
    assert [i for i in order if say(CASES[i]).samples.tobytes() != expected[i]] == []


def test_threads_and_processes_say_the_same() -> None:
    expected = [say(case) for case in CASES]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(say, CASES * 3)) == expected * 3
    code = (
        "import hashlib, sys\nfrom rpe.voice.tts import TextToSpeech\n"
        "print(hashlib.sha256(TextToSpeech().speak('hello world').samples.tobytes()).hexdigest())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == hashlib.sha256(expected[0].samples.tobytes()).hexdigest()
    assert done.stderr == ""


@pytest.mark.parametrize("text", ["", "  \n", "\0"])
def test_a_blank_text_has_no_samples(text: str) -> None:
    speech = TextToSpeech().speak(text)
    assert (speech.num_samples, speech.sample_rate) == (0, 22_050)


def test_what_is_written_is_text_only() -> None:
    engine = TextToSpeech()
    assert engine.speak("one\0two") == engine.speak("one two")
    # As marks of SSML or as phonemes, these would be silent, or sound like the word alone.
    for marked in ('<break time="5s"/> word', "[[w3:d]] word"):
        assert engine.speak(marked).duration_s > engine.speak("word").duration_s + 0.3
    for strange in ("日本語", "🎈 \u200b", "\x01\x02 a", "a" * 500, "!?.,;"):
        assert engine.speak(strange) == engine.speak(strange)


def test_an_encoding_is_not_what_is_spoken() -> None:
    engine = TextToSpeech(voice="de")
    assert engine.speak(Text("schön", encoding="iso8859-1")).samples.tobytes() == (
        engine.speak("schön").samples.tobytes()
    )


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"rate_wpm": 79}, "rate_wpm must be from 80 to 450"),
        ({"pitch": 100}, "pitch must be from 0 to 99"),
        ({"voice": "../../etc/passwd"}, "cannot be the name of a voice"),
        ({"voice": ""}, "cannot be the name of a voice"),
    ],
)
def test_settings_out_of_range(how: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        TextToSpeech(**how)


def test_no_such_voice() -> None:
    with pytest.raises(ConfigurationError, match="no voice named 'klingonese'"):
        TextToSpeech(voice="klingonese").speak("a")
    assert TextToSpeech().speak("a").num_samples  # the library is in order after that


def test_a_text_that_is_too_long() -> None:
    with pytest.raises(DataValidationError, match="11 characters is longer than the 10"):
        TextToSpeech(max_chars=10).speak("x" * 11)
