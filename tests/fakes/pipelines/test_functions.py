"""The ready-made nodes: what each makes of what comes, in calls and in sessions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pytest

from rpe.clock import SYSTEM_CLOCK
from rpe.data import Audio, RuntimeData, Text
from rpe.fakes.nodes import NodeCall, NodeFailed
from rpe.fakes.pipelines import frame_numbers
from rpe.fakes.pipelines.answers import read_answer  # noqa: F401  (registers what is ready-made)
from rpe.fakes.pipelines.ready import IN_SESSION, READY, bind
from rpe.transport.serving import ErrorType

RATE = 16_000


def run(
    name: str, data: RuntimeData, *, session: bool = False, params: dict[str, Any] | None = None, **given: Any
) -> list[RuntimeData]:
    """What a ready-made node gives, in a call or in a session."""
    told = IN_SESSION.set(session)
    try:
        output = bind(name, given)(data, NodeCall("n", params or {}, SYSTEM_CLOCK))
    finally:
        IN_SESSION.reset(told)
    return list(output) if isinstance(output, Sequence) else [cast(RuntimeData, output)]


def speech(*parts: tuple[float, float], rate: int = RATE, channels: int = 1) -> Audio:
    """Sound of these lengths in seconds and levels (0 is silence), one after the other."""
    samples = [np.full(round(length_s * rate) * channels, level, np.float32) for length_s, level in parts]
    return Audio(np.concatenate(samples), rate, channels)


def places(results: list[RuntimeData]) -> list[tuple[float, float]]:
    return [(float(each.metadata["start_s"]), float(each.metadata["end_s"])) for each in results]


def test_speech_is_what_is_loud_and_lasts() -> None:
    sound = speech(
        (0.5, 0), (0.4, 0.2), (0.5, 0), (0.02, 0.2), (0.5, 0), (0.3, 0.1), (0.1, 0), (0.2, 0.1), (1, 0)
    )
    found = run("speech", sound, session=True)
    assert places(found) == [(0.5, 0.9), (1.92, 2.52)], (
        "a click is no speech, and a short pause is part of it"
    )
    assert [cast(Audio, each).num_samples for each in found] == [6400, 9600]
    [whole] = cast(list[Audio], run("speech", sound))
    assert json.loads(whole.metadata["segments"]) == [[0.5, 0.9], [1.92, 2.52]]
    assert np.array_equal(whole.samples, np.concatenate([cast(Audio, each).samples for each in found]))


def test_speech_at_an_edge_may_go_on_in_the_next_chunk() -> None:
    click = speech((0.02, 0.2))
    assert places(run("speech", click, session=True)) == [(0.0, 0.02)]
    assert places(run("speech", speech((0.5, 0), (0.02, 0.2)), session=True)) == [(0.5, 0.52)]


@pytest.mark.parametrize("sound", [speech((1, 0)), Audio(np.empty(0, np.float32), RATE)])
def test_where_nothing_is_said_a_session_gets_nothing_and_a_call_no_samples(sound: Audio) -> None:
    assert run("speech", sound, session=True) == []
    [none] = cast(list[Audio], run("speech", sound))
    assert (none.num_samples, none.sample_rate, none.metadata["segments"]) == (0, RATE, "[]")


def test_speech_keeps_what_it_is_a_part_of() -> None:
    sixteen = Audio(
        np.full(2 * 48_000, 9000, np.int16), 48_000, channels=2, timestamp_us=7, metadata={"room": "4"}
    )
    quiet = np.concatenate([np.zeros(48_000 * 2, np.int16), sixteen.samples])
    [found] = cast(
        list[Audio],
        run("speech", Audio(quiet, 48_000, 2, timestamp_us=7, metadata={"room": "4"}), session=True),
    )
    assert (found.channels, found.sample_rate, found.timestamp_us) == (2, 48_000, 1_000_007)
    assert found.samples.dtype == np.float32 and found.metadata["room"] == "4"


def test_the_threshold_is_in_db_of_full_scale() -> None:
    sound = speech((0.5, 0.05))  # -26 dB
    assert run("speech", sound, session=True, threshold_db=-27) != []
    assert run("speech", sound, session=True, threshold_db=-25) == []


def test_the_same_sound_has_the_same_words_and_another_has_others() -> None:
    first, second = speech((2, 0.2)), speech((1, 0.2), (1, 0.02))
    [text] = cast(list[Text], run("transcript", first))
    assert run("transcript", first) == [text]
    assert len(text.text.split()) == 5, "2 s have five words"
    assert run("transcript", second) != [text]
    sixteen = Audio(np.rint(first.samples * 32768).astype(np.int16), RATE)
    assert run("transcript", sixteen) == run("transcript", sixteen.to_float32())


def test_a_session_hears_word_by_word() -> None:
    said = cast(list[Text], run("transcript", speech((1.2, 0.2)), session=True, words=["a", "b"]))
    words = said[-1].text.split()
    assert [each.text for each in said] == [" ".join(words[: n + 1]) for n in range(3)]
    assert [each.metadata["partial"] for each in said] == ["true", "true", "false"]
    [whole] = run("transcript", speech((1.2, 0.2)), session=True, words=["a", "b"], partials=False)
    assert whole == said[-1]


def test_lines_are_chosen_by_the_content_of_the_sound() -> None:
    lines = ["good morning", "a table for two", "at seven"]
    heard = [
        cast(Text, run("transcript", speech((1, 0.2 + n / 100)), lines=lines)[0]).text for n in range(12)
    ]
    assert set(heard) == set(lines)
    assert heard[0] == cast(Text, run("transcript", speech((1, 0.2)), lines=lines)[0]).text


@pytest.mark.parametrize("sound", [speech((1, 0.0005)), speech((1, 0)), Audio(np.empty(0, np.float32), RATE)])
def test_quiet_sound_has_no_words(sound: Audio) -> None:
    assert run("transcript", sound, session=True) == []
    assert [cast(Text, each).text for each in run("transcript", sound)] == [""]


def test_translation_keeps_capitals_and_what_stands_between_words() -> None:
    words = {"hello": "hallo", "World": "welt", "don't": "nicht"}
    text = Text("Hello, WORLD... don't go!", metadata={"partial": "true"})
    [said] = cast(list[Text], run("translation", text, words=words, language="de"))
    assert (said.text, said.language) == ("Hallo, Welt... nicht [go]!", "de")
    assert said.metadata["partial"] == "true"
    [said] = cast(list[Text], run("translation", Text("go", language="en"), unknown="?{word}?"))
    assert (said.text, said.language) == ("?go?", "en")


def test_a_session_gets_tones_in_chunks_and_a_call_in_one_piece() -> None:
    given: dict[str, Any] = {"word_frames": 3, "pause_frames": 1, "chunk_frames": 3}
    text = Text("one two", metadata={"turn": "5"})
    pieces = cast(list[Audio], run("tones", text, session=True, **given))
    assert [frame_numbers(piece) for piece in pieces] == [[0, 1, 2], [3, 4, 5], [6, 7]]
    assert [dict(piece.metadata) for piece in pieces] == [
        {"turn": "5", "first_frame": first} for first in ("0", "3", "6")
    ]
    [whole] = cast(list[Audio], run("tones", text, **given))
    assert np.array_equal(whole.samples, np.concatenate([piece.samples for piece in pieces]))


def test_the_same_word_sounds_alike_and_another_does_not() -> None:
    def tone(word: str) -> bytes:
        return cast(Audio, run("tones", Text(word))[0]).samples.tobytes()

    assert tone("one") == tone("ONE") != tone("two")


def test_the_params_of_a_manifest_go_before_the_settings() -> None:
    params = {"sample_rate": 8000, "voice": "anna"}
    [sound] = cast(list[Audio], run("tones", Text("x"), params=params, word_frames=1, pause_frames=0))
    assert (sound.sample_rate, sound.num_samples) == (8000, 160)
    with pytest.raises(NodeFailed) as failed:
        run("tones", Text("x"), params={"sample_rate": 7})
    assert failed.value.error.error_type is ErrorType.VALIDATION
    assert "sample_rate" in failed.value.error.message


def test_what_is_not_whole_yet_is_not_spoken() -> None:
    partial = Text("good", metadata={"partial": "true"})
    assert run("tones", partial, session=True) == []
    assert run("tones", Text(""), session=True) == []
    [none] = cast(list[Audio], run("tones", Text("  ")))
    assert (none.num_samples, none.sample_rate) == (0, RATE)


@pytest.mark.parametrize("name", sorted(READY))
def test_data_of_another_kind_is_refused(name: str) -> None:
    wrong = Text("x") if name in ("speech", "transcript") else speech((0.1, 0.1))
    with pytest.raises(NodeFailed) as failed:
        run(name, wrong)
    assert failed.value.error.error_type is ErrorType.TYPE_VALIDATION
