"""What is sent: real speech, or sentences; no two pieces of a run alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import rpe
from rpe.chaos.content import content_path
from rpe.chaos.workload.speech import Speech, recordings
from rpe.chaos.workload.texts import Texts
from rpe.data import content_hash
from rpe.errors import ConfigurationError


def test_speech_is_cut_into_pieces_that_differ_also_after_a_turn() -> None:
    speech = Speech(chunk_ms=50)
    pieces = [speech.piece(number) for number in range(2 * len(speech) + 5)]
    assert len(speech) > 300
    assert len({content_hash(piece) for piece in pieces}) == len(pieces)
    assert {piece.num_samples for piece in pieces} == {800}
    assert all(piece.duration_s == pytest.approx(0.05) for piece in pieces)
    # It is the recording itself, up to the mark of the turn.
    again = pieces[len(speech)]
    assert np.array_equal(again.samples[1:], pieces[0].samples[1:])
    assert np.abs(pieces[100].samples.astype(int)).max() > 100


def test_a_piece_longer_than_the_recordings_is_filled_by_hearing_them_again() -> None:
    speech = Speech(chunk_ms=30_000)
    assert len(speech) == 1
    assert speech.piece(0).duration_s == pytest.approx(30)


def test_pieces_shorter_than_a_sample_still_have_one() -> None:
    assert Speech(chunk_ms=0.01).piece(3).num_samples == 1


def test_all_four_recordings_are_found() -> None:
    assert [path.suffix for path in recordings()] == [".wav"] * 4


def test_sentences_never_repeat() -> None:
    texts = Texts()
    assert len({texts.piece(number).text for number in range(100)}) == 100


def test_content_is_found_in_a_checkout_and_in_an_installed_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert content_path("fakes", "media") == Path(rpe.__file__).parent.parent / "fakes" / "media"
    package = tmp_path / "site-packages" / "rpe"
    (package / "content" / "fakes").mkdir(parents=True)
    monkeypatch.setattr(rpe, "__file__", str(package / "__init__.py"))
    assert content_path("fakes") == package / "content" / "fakes"
    with pytest.raises(ConfigurationError, match="scenarios"):
        content_path("scenarios")
