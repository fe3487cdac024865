"""A light load for hours: does anything grow that should not?

Each user holds a session that speaks in real time, calls an echo, and rests. Once a minute the process
says how much memory its load engine holds: what grows there grows in the client. `RPE_SOAK_SAY_S` is
how often, in seconds, and `RPE_SESSION_S` is how long a session speaks.

    rpe fake                                                                          # in another terminal
    rpe load loadtests/soak.py --endpoint 127.0.0.1:50051 --headless -u 10 -t 8h
"""

from __future__ import annotations

import logging
import os
from typing import Any

import gevent
import psutil
from locust import between, events, task
from locust.env import Environment

from rpe import ClientSettings, Manifest, Text
from rpe.chaos.workload.speech import Speech
from rpe.locust import PipelineUser

CHUNK_MS = 20
SAY_S = float(os.environ.get("RPE_SOAK_SAY_S", "60"))
SESSION_S = float(os.environ.get("RPE_SESSION_S", "10"))
CHUNKS = [Speech(CHUNK_MS).piece(number) for number in range(round(SESSION_S * 1000 / CHUNK_MS))]
VOICE = Manifest.single("voice", node_type="PassThrough")
ECHO = Manifest.single("echo", node_type="Echo")
WORDS = Text("still there?")


class Guest(PipelineUser):
    """Speaks for a while, asks, and rests."""

    endpoints = ("127.0.0.1:50051",)
    settings = ClientSettings(timeout_s=5.0, repeatable=True)
    wait_time = between(1, 5)

    @task
    def speak(self) -> None:
        """Hold one session."""
        self.stream(VOICE, CHUNKS, every_s=CHUNK_MS / 1000)

    @task
    def ask(self) -> None:
        """Send one text."""
        self.execute(ECHO, WORDS, keep=False)


@events.test_start.add_listener
def watch(environment: Environment, **_: Any) -> None:
    """Begin to tell of memory, for as long as the run goes on."""

    def tell() -> None:
        while environment.runner is not None and environment.runner.state not in ("stopped", "stopping"):
            gevent.sleep(SAY_S)
            for child in psutil.Process().children(recursive=True):
                held_mb, sockets = child.memory_info().rss / 2**20, len(child.net_connections())
                logging.info("soak: process %d holds %.0f MB and %d sockets", child.pid, held_mb, sockets)

    gevent.spawn(tell)
