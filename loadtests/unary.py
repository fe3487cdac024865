"""Unary calls, as fast as the servers answer them: each user calls again when it has its answer.

rpe fake                                                      # a server to load, in another terminal
rpe load loadtests/unary.py --endpoint 127.0.0.1:50051        # with Locust's web interface
"""

from __future__ import annotations

from locust import task

from rpe import ClientSettings, Manifest, Text
from rpe.locust import PipelineUser

ECHO = Manifest.single("echo", node_type="Echo")
WORDS = Text("the quick brown fox jumps over the lazy dog")


class Caller(PipelineUser):
    """Calls an echo, and looks at what comes back."""

    endpoints = ("127.0.0.1:50051",)
    settings = ClientSettings(timeout_s=5.0, repeatable=True)

    @task
    def echo(self) -> None:
        """Send one text."""
        reply = self.execute(ECHO, WORDS)
        if reply.ok and reply.output != WORDS:
            raise AssertionError(f"the echo was {reply.output!r}")
