"""Callers who call again when they have their answer, all of it in the engine: the cheapest closed loop.

`-u` says how many callers there are, and `RPE_WAIT_S=0.1,0.5` how long each pauses after an answer (the
least and the most seconds).

    rpe fake                                                       # a server to load, in another terminal
    rpe load loadtests/callers.py --endpoint 127.0.0.1:50051 --headless -u 8 -r 8 -t 10s
"""

from __future__ import annotations

import os

from rpe import ClientSettings, Manifest, Text
from rpe.locust import CallerUser, Execution

LEAST_S, MOST_S = (float(part) for part in os.environ.get("RPE_WAIT_S", "0,0").split(","))
WORK = Execution(
    Manifest.single("echo", node_type="Echo"), Text("the quick brown fox jumps over the lazy dog")
)


class Caller(CallerUser):
    """Calls an echo, and takes its word for the answer."""

    endpoints = ("127.0.0.1:50051",)
    settings = ClientSettings(timeout_s=5.0, repeatable=True)
    wait_s = (LEAST_S, MOST_S)

    def work(self) -> Execution:
        """Return what is called."""
        return WORK
