"""Frames that carry their numbers: found whatever was done to the sound, and never where there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpe.data import Audio
from rpe.fakes.pipelines import frame_numbers
from rpe.fakes.pipelines.numbered import NUMBER_SAMPLES, number_samples
from rpe.fakes.pipelines.tones import TonesSettings, spoken

FRAMES = spoken("one two three", TonesSettings())
SOUND = Audio(np.concatenate(FRAMES), 16_000)
ALL = list(range(30))


def sound(*frames: int) -> Audio:
    """These frames of the utterance, in this order."""
    return Audio(np.concatenate([FRAMES[number] for number in frames]), 16_000)


def test_every_frame_of_an_utterance_has_its_number() -> None:
    assert len(FRAMES) == 30
    assert frame_numbers(SOUND) == ALL


@pytest.mark.parametrize("order", [(3, 2, 1), (5, 5, 6), (0, 29), (7,)])
def test_what_is_told_is_what_came_in_the_order_in_which_it_came(order: tuple[int, ...]) -> None:
    assert frame_numbers(sound(*order)) == list(order)


@given(
    number=st.integers(0, 2**24 - 1),
    before=st.integers(0, 100),
    gain=st.floats(0.01, 3.9),
    noise=st.integers(0, 2**32 - 1),
)
@settings(max_examples=50, deadline=None)
def test_any_number_is_found_at_any_place(number: int, before: int, gain: float, noise: int) -> None:
    around = np.random.default_rng(noise).normal(0, 0.2, 300).astype(np.float32)
    samples = np.concatenate([around[:before], number_samples(number), around[before:]])
    audio = Audio(np.clip(samples * np.float32(gain), -1, 1), 8000)
    assert frame_numbers(audio) == [number]


def test_numbers_survive_sixteen_bits_and_a_second_channel() -> None:
    sixteen = np.rint(SOUND.samples * 32768).astype(np.int16)
    assert frame_numbers(Audio(sixteen, 16_000)) == ALL
    assert np.array_equal(sixteen / np.float32(32768), SOUND.samples), "nothing is lost in 16 bits"
    stereo = np.stack([SOUND.samples, np.zeros_like(SOUND.samples)], axis=1).reshape(-1)
    assert frame_numbers(Audio(stereo, 16_000, channels=2)) == ALL


@pytest.mark.parametrize("place", [0, 15, 16, 39, 40, 47])
def test_a_damaged_number_is_not_told(place: int) -> None:
    samples = number_samples(1234).copy()
    samples[place] = -samples[place]
    assert frame_numbers(Audio(samples, 16_000)) == []


@pytest.mark.parametrize("kept", [0, 1, 31, NUMBER_SAMPLES - 1])
def test_a_number_that_is_cut_is_not_told(kept: int) -> None:
    assert frame_numbers(Audio(number_samples(5)[:kept], 16_000)) == []
    cut = replace(SOUND, samples=SOUND.samples[: 320 + kept])
    assert frame_numbers(cut) == [0]


def test_silence_and_tones_have_no_numbers() -> None:
    tone = np.sin(np.arange(16_000) / 5).astype(np.float32)
    assert frame_numbers(Audio(np.zeros(1000, np.float32), 16_000)) == []
    assert frame_numbers(Audio(tone, 16_000)) == []
    assert frame_numbers(Audio(np.empty(0, np.float32), 0, channels=0)) == []


def test_the_signs_alone_are_no_number() -> None:
    uneven = number_samples(5) * np.linspace(0.5, 1, NUMBER_SAMPLES, dtype=np.float32)
    assert frame_numbers(Audio(uneven, 16_000)) == []
