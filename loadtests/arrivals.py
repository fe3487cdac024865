"""Arrivals at a rate, whatever the servers make of it: an open loop, ramped up and then held.

`RPE_RATES=50,200 RPE_RAMP_S=10` set the rates (per second, of each user) and the length of the ramp.

    rpe fake                                                       # a server to load, in another terminal
    rpe load loadtests/arrivals.py --endpoint 127.0.0.1:50051 --headless -u 1 -t 20s
"""

from __future__ import annotations

import os

from rpe import ClientSettings, Manifest, Text
from rpe.locust import ArrivalUser, Execution

FIRST, LAST = (float(part) for part in os.environ.get("RPE_RATES", "50,200").split(","))
WORK = Execution(Manifest.single("echo", node_type="Echo"), Text("who comes there?"))


class Visitors(ArrivalUser):
    """Independent visitors, who come one by one and do not ask how long the queue is."""

    endpoints = ("127.0.0.1:50051",)
    settings = ClientSettings(timeout_s=5.0, repeatable=True)
    arrivals = "poisson"
    ramp = (FIRST, LAST, float(os.environ.get("RPE_RAMP_S", "10")))
    max_in_flight = 200
    seed = 1

    def work(self) -> Execution:
        """Return what each of them does."""
        return WORK
