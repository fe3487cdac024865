"""What a voice assistant's servers get: sessions that listen, whole recordings, and answers to be spoken.

For one caller that reads a text aloud there are two that send a recording, and four that speak in
real time. `RPE_SESSION_S` says for how long each of them speaks.

    rpe fake serve echo --grpc-port 50051                         # a server to load, in another terminal
    rpe load loadtests/mixed.py --endpoint 127.0.0.1:50051        # with Locust's web interface
"""

from __future__ import annotations

import os
from itertools import cycle

from locust import between, task

from rpe import ClientSettings, Manifest, Text
from rpe.chaos.workload.speech import Speech
from rpe.locust import PipelineUser

CHUNK_MS = 20
SESSION_S = float(os.environ.get("RPE_SESSION_S", "4"))
CHUNKS = [Speech(CHUNK_MS).piece(number) for number in range(round(SESSION_S * 1000 / CHUNK_MS))]
RECORDINGS = [Speech(1000).piece(number) for number in range(8)]
LINES = cycle([Text("Good morning."), Text("I did not hear you."), Text("It is a quarter past nine.")])

LISTEN = Manifest.single("listen", node_type="PassThrough")
TRANSCRIBE = Manifest.single("transcribe", node_type="PassThrough")
SPEAK = Manifest.single("speak", node_type="PassThrough")


class Caller(PipelineUser):
    """A caller of the assistant."""

    abstract = True
    endpoints = ("127.0.0.1:50051",)
    settings = ClientSettings(timeout_s=5.0, repeatable=True)
    wait_time = between(0.1, 1.0)


class Speaker(Caller):
    """Speaks in real time: 20 ms of sound, every 20 ms."""

    weight = 4

    @task
    def speak(self) -> None:
        """Hold one session."""
        self.stream(LISTEN, CHUNKS, every_s=CHUNK_MS / 1000)


class Sender(Caller):
    """Sends recordings of a second, one after the other."""

    weight = 2

    def on_start(self) -> None:
        """Begin with the first recording."""
        self.recordings = cycle(RECORDINGS)

    @task
    def send(self) -> None:
        """Send one recording."""
        self.execute(TRANSCRIBE, next(self.recordings), keep=False)


class Reader(Caller):
    """Has a line of text read aloud."""

    weight = 1

    @task
    def read(self) -> None:
        """Send one line."""
        self.execute(SPEAK, next(LINES), keep=False)
