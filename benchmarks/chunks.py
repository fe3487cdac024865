"""What every wire's benchmark sends: a text of 1 KB, 20 ms of audio, and the pipeline that gives it back."""

from __future__ import annotations

import numpy as np

import rpe

__all__ = ["AUDIO", "CHUNK_S", "ECHO", "SAMPLES", "SAMPLE_RATE", "TEXT"]

ECHO = rpe.Manifest.single("echo", node_type="Echo")
TEXT = "x" * 1024
CHUNK_S = 0.02
SAMPLE_RATE = 16_000
# Noise, and not zeros: a number is as long in JSON as it has digits.
SAMPLES = np.random.default_rng(7).integers(-8000, 8000, int(CHUNK_S * SAMPLE_RATE)).astype(np.int16)
AUDIO = rpe.Audio(SAMPLES, SAMPLE_RATE)
