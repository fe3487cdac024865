"""Speech in real time: each user holds a session, and sends 20 ms of a recording every 20 ms.

rpe fake                                                      # a server to load, in another terminal
rpe load loadtests/streaming.py --endpoint 127.0.0.1:50051    # with Locust's web interface
"""

from __future__ import annotations

import os

from locust import between, task

from rpe import ClientSettings, Manifest
from rpe.chaos.workload.speech import Speech
from rpe.locust import PipelineUser

CHUNK_MS = 20
SESSION_S = float(os.environ.get("RPE_SESSION_S", "4"))
SPEECH = Speech(CHUNK_MS)
CHUNKS = [SPEECH.piece(number) for number in range(round(SESSION_S * 1000 / CHUNK_MS))]
VOICE = Manifest.single("voice", node_type="PassThrough")


class Speaker(PipelineUser):
    """Speaks for a few seconds, is silent for a moment, and speaks again."""

    endpoints = ("127.0.0.1:50051",)
    settings = ClientSettings(repeatable=True)
    wait_time = between(0.1, 1.0)

    @task
    def speak(self) -> None:
        """Hold one session."""
        self.stream(VOICE, CHUNKS, every_s=CHUNK_MS / 1000)
