"""A calm, a sudden crowd, and a calm again: do servers and client come back to what they were?

The lengths of the three phases, in seconds, and the number of users in calm and crowd can be
set by the environment: `RPE_SPIKE_S=10,5,10 RPE_SPIKE_USERS=5,50`.

    rpe fake                                                      # a server to load, in another terminal
    rpe load loadtests/spike.py --endpoint 127.0.0.1:50051        # with Locust's web interface
"""

from __future__ import annotations

import os
from itertools import accumulate

from locust import LoadTestShape, between, task

from rpe import ClientSettings, Manifest, Text
from rpe.locust import PipelineUser

ENDS_S = tuple(accumulate(float(part) for part in os.environ.get("RPE_SPIKE_S", "10,5,10").split(",")))
CALM, CROWD = (int(part) for part in os.environ.get("RPE_SPIKE_USERS", "5,50").split(","))
ECHO = Manifest.single("echo", node_type="Echo")
WORDS = Text("is anybody there?")


class Visitor(PipelineUser):
    """Calls an echo now and then. What it calls may be repeated, so the client may retry."""

    endpoints = ("127.0.0.1:50051",)
    settings = ClientSettings(timeout_s=5.0, repeatable=True)
    wait_time = between(0.02, 0.2)

    @task
    def ask(self) -> None:
        """Send one text."""
        self.execute(ECHO, WORDS, keep=False)


class Spike(LoadTestShape):
    """The number of users over time."""

    def tick(self) -> tuple[int, float] | None:
        """Return how many users there are to be now, and how many may come each second; None ends the run."""
        now_s = self.get_run_time()
        if now_s >= ENDS_S[2]:
            return None
        users = CROWD if ENDS_S[0] <= now_s < ENDS_S[1] else CALM
        return users, float(CROWD)
