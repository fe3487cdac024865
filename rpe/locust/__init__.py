"""Locust users that call pipelines, on every wire that rpe speaks.

    class Speaker(PipelineUser):
        manifest = Manifest.single("echo", node_type="Echo")

        @task
        def talk(self) -> None:
            self.execute(self.manifest, Text("hello"))

Importing this imports Locust, which lets gevent patch the whole process. So this is for
locustfiles alone: no library and no test runner should import it. The calls themselves are
made in a process that is not patched (`rpe.load`).
"""

from __future__ import annotations

from rpe.locust import telling
from rpe.locust.arrivals import ArrivalUser
from rpe.locust.bridge import EngineFailed
from rpe.locust.callers import CallerUser
from rpe.locust.replies import Reply, StreamReply
from rpe.locust.user import PipelineUser
from rpe.locust.work import Execution, Session

__all__ = [
    "ArrivalUser",
    "CallerUser",
    "EngineFailed",
    "Execution",
    "PipelineUser",
    "Reply",
    "Session",
    "StreamReply",
    "telling",
]
