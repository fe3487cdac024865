"""Sounds for tests, and what can be said of one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpe.chaos.workload.speech import recordings
from rpe.data import Audio

__all__ = ["level", "likeness", "pitch", "speech", "tone", "voice_band"]


def tone(
    seconds: float = 0.5, hz: float = 440.0, rate: int = 16_000, channels: int = 1, dtype: Any = np.float32
) -> Audio:
    """A sine of half the full scale."""
    wave = 0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)
    scale = {np.float32: 1.0, np.int16: 2.0**15 - 1, np.int32: 2.0**31 - 1}[dtype]
    return Audio(np.repeat((wave * scale).astype(dtype), channels), sample_rate=rate, channels=channels)


def speech(seconds: float) -> Audio:
    """The beginning of the second recording, which begins with a word."""
    audio = Audio.from_wav(recordings()[1])
    return Audio(audio.samples[: round(seconds * audio.sample_rate)], sample_rate=audio.sample_rate)


def pitch(samples: NDArray[Any], rate: int = 48_000) -> float:
    """The strongest frequency, in hertz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples))


def level(samples: NDArray[Any]) -> float:
    """The root mean square of 16-bit samples, as a share of the full scale."""
    return float(np.sqrt(np.mean((samples.astype(np.float64) / 2**15) ** 2)))


def voice_band(samples: NDArray[Any], rate: int = 48_000) -> NDArray[np.float64]:
    """What a telephone lets through, 300 to 3400 Hz: Opus as aiortc sets it takes away the lowest tones."""
    spectrum = np.fft.rfft(samples.astype(np.float64))
    frequencies = np.fft.rfftfreq(len(samples), 1 / rate)
    spectrum[(frequencies < 300) | (frequencies > 3400)] = 0
    return np.fft.irfft(spectrum, len(samples))


def likeness(heard: NDArray[Any], said: NDArray[Any], piece: int = 4_800) -> float:
    """How well what was said is found again in what was heard: 1 where it is the same sound.

    For each tenth of a second that is not silent, the largest normalized cross-correlation
    with any stretch of what was heard; the median of these. So a delay does not matter, nor a
    pause that a busy machine put in somewhere.
    """
    whole = len(said) - len(said) % piece
    pieces = said[:whole].astype(np.float64).reshape(-1, piece)
    loud = [part for part in pieces if part @ part > 0.1 * np.mean(pieces**2) * piece]
    return float(np.median([_best_match(heard.astype(np.float64), part) for part in loud]))


def _best_match(heard: NDArray[np.float64], piece: NDArray[np.float64]) -> float:
    size = 1 << (len(heard) + len(piece)).bit_length()
    products = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(piece, size)), size)
    sums = np.concatenate([[0.0], np.cumsum(heard**2)])
    energies = sums[len(piece) :] - sums[: -len(piece)]
    least = 0.01 * energies.max()
    return float((products[: len(energies)] / np.sqrt(np.maximum(energies, least) * (piece @ piece))).max())
