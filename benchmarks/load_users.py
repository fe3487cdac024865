"""The users of `benchmarks.load`: one of the classes below makes load, and its process says what that cost.

For Locust, in a process that gevent has patched: `RPE_BENCH_ARM` names the class, `RPE_BENCH_S` the seconds
(where it is not set, someone else measures).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import Any

import gevent
import grpc
import grpc.experimental.gevent as grpc_gevent
import psutil
from locust import User, constant, events, task
from locust.env import Environment

from benchmarks.load import RATE_PER_S, TEXT, WARM_UP_S, request
from rpe import Manifest, Text
from rpe.locust import ArrivalUser, CallerUser, Execution, PipelineUser
from rpe.wire.generated.remotemedia.v1 import execution_pb2_grpc

ARM = os.environ["RPE_BENCH_ARM"]
ECHO = Manifest.single("echo", node_type="Echo")
DATA = Text(TEXT)

if ARM == "Classic":
    grpc_gevent.init_gevent()


class Closed(PipelineUser):
    abstract = ARM != "Closed"

    @task
    def echo(self) -> None:
        self.execute(ECHO, DATA, keep=False)


class Caller(CallerUser):
    abstract = ARM != "Caller"

    def work(self) -> Execution:
        return Execution(ECHO, DATA)


class Open(ArrivalUser):
    abstract = ARM != "Open"
    rate_per_s = RATE_PER_S

    def work(self) -> Execution:
        return Execution(ECHO, DATA)


class Reporting(grpc.UnaryUnaryClientInterceptor):
    """As in Locust's own example of gRPC: each call is timed, and its response awaited, in an interceptor."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment

    def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, message: Any) -> Any:
        response, error, size = None, None, 0
        started_s = time.perf_counter()
        try:
            response = continuation(details, message)
            size = response.result().ByteSize()
        except grpc.RpcError as failed:
            error = failed
        self.environment.events.request.fire(  # type: ignore[no-untyped-call]
            request_type="grpc",
            name=details.method,
            response_time=(time.perf_counter() - started_s) * 1000,
            response_length=size,
            response=response,
            context=None,
            exception=error,
        )
        return response


class Classic(User):
    abstract = ARM != "Classic"
    wait_time = constant(0)

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        channel = grpc.insecure_channel(os.environ["RPE_ENDPOINTS"])
        self.stub: Any = execution_pb2_grpc.PipelineExecutionServiceStub(
            grpc.intercept_channel(channel, Reporting(environment))
        )

    @task
    def echo(self) -> None:
        self.stub.ExecutePipeline(request())


def _cpu_s() -> float:
    """The CPU time of this process, and of an engine beside it."""
    me = psutil.Process()
    times = [process.cpu_times() for process in (me, *me.children(recursive=True))]
    return sum(each.user + each.system for each in times)


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def _measure(environment: Environment, **_: Any) -> None:
    if "RPE_BENCH_S" not in os.environ:
        return

    def measure() -> None:
        gevent.sleep(WARM_UP_S)
        found = []
        for pause_s in (float(os.environ["RPE_BENCH_S"]), 0.0):
            calls = sum(
                entry.num_requests
                for (_, kind), entry in environment.stats.entries.items()
                if kind in ("execute", "grpc")
            )
            failures = environment.stats.num_failures
            found.append((_cpu_s(), calls, failures))
            gevent.sleep(pause_s)
        (cpu_s, calls, _), (end_cpu_s, end_calls, failed) = found
        cost = {"cpu_s": end_cpu_s - cpu_s, "calls": end_calls - calls, "failed": failed}
        print(json.dumps(cost), flush=True)
        if environment.runner is not None:
            environment.runner.quit()

    gevent.spawn(measure)
