"""Unary calls in Locust's classic style, to compare with: a plain stub of gRPC, or plain HTTP; no retries.

rpe fake                                          # servers to load, in other terminals
rpe fake --transport http --port 8080
rpe load loadtests/classic.py PlainGrpc --endpoint 127.0.0.1:50051
rpe load loadtests/classic.py PlainHttp --endpoint 127.0.0.1:8080
"""

from __future__ import annotations

from locust import task

from rpe import Manifest, Text
from rpe.locust.classic.grpc_user import GrpcUser
from rpe.locust.classic.http_user import HttpUser

ECHO = Manifest.single("echo", node_type="Echo")
WORDS = Text("the quick brown fox jumps over the lazy dog")


class PlainGrpc(GrpcUser):
    """Calls an echo over gRPC."""

    timeout_s = 5.0

    @task
    def echo(self) -> None:
        """Send one text."""
        outputs = self.execute(ECHO, WORDS)
        if outputs is not None and outputs["output"] != WORDS:
            raise AssertionError(f"the echo was {outputs!r}")


class PlainHttp(HttpUser):
    """Calls an echo over HTTP."""

    timeout_s = 5.0

    @task
    def echo(self) -> None:
        """Send one text."""
        output = self.execute(ECHO, WORDS)
        if output is not None and output != WORDS:
            raise AssertionError(f"the echo was {output!r}")
