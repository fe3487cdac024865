"""More and more users: at which number do answers become late, or calls fail?

`RPE_RAMP_USERS=5,10,20,40` are the steps, and `RPE_RAMP_STEP_S=10` how long each lasts.

    rpe fake                                                      # a server to load, in another terminal
    rpe load loadtests/ramp.py --endpoint 127.0.0.1:50051         # with Locust's web interface
"""

from __future__ import annotations

import os

from locust import LoadTestShape, constant_throughput, task

from rpe import ClientSettings, Manifest, Text
from rpe.locust import PipelineUser

STEPS = [int(part) for part in os.environ.get("RPE_RAMP_USERS", "5,10,20,40").split(",")]
STEP_S = float(os.environ.get("RPE_RAMP_STEP_S", "10"))
ECHO = Manifest.single("echo", node_type="Echo")
WORDS = Text("one more")


class Caller(PipelineUser):
    """Calls an echo ten times a second, or as often as it is answered."""

    endpoints = ("127.0.0.1:50051",)
    settings = ClientSettings(timeout_s=5.0, repeatable=True)
    wait_time = constant_throughput(10)

    @task
    def ask(self) -> None:
        """Send one text."""
        self.execute(ECHO, WORDS, keep=False)


class Ramp(LoadTestShape):
    """The number of users over time: a stair."""

    def tick(self) -> tuple[int, float] | None:
        """Return how many users there are to be now, and how many may come each second; None ends the run."""
        step = int(self.get_run_time() / STEP_S)
        return (STEPS[step], float(max(STEPS))) if step < len(STEPS) else None
