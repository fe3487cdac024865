"""A plain gRPC user: a synchronous stub in a greenlet, as Locust's own example of gRPC has it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, ClassVar

import grpc
from grpc.experimental import gevent as grpc_gevent
from locust import User
from locust.env import Environment

from rpe.data import RuntimeData
from rpe.errors import ConfigurationError, RpeError, redact
from rpe.load.messages import brief
from rpe.locust.classic.reporting import endpoint_of, timed
from rpe.locust.ending import end_run
from rpe.manifest.model import Manifest
from rpe.wire.generated.remotemedia.v1.execution_pb2 import ExecuteRequest, ExecuteResponse
from rpe.wire.manifest import encode_manifest
from rpe.wire.protobuf import decode, encode

__all__ = ["GrpcUser"]

# gRPC's core waits by gevent from here on: without it one call would stop all greenlets. This holds
# for the whole process, has to come after Locust's own patch, and cannot be undone.
grpc_gevent.init_gevent()

_EXECUTE = "/remotemedia.v1.PipelineExecutionService/ExecutePipeline"
_NUMBERS = count()


class GrpcUser(User):
    """Calls pipelines at one endpoint, over a channel of its own, with no retry and no pool.

    What is set on the class:
        endpoints: addresses; the users are dealt out over them in turn. Locust's `--host` (several
            separated by commas), and after it the environment variable `RPE_ENDPOINTS`, take their place.
        timeout_s: the deadline of each call, in seconds.
        metadata: sent with each call.

    Without any endpoint the run ends before the first call, with the exit code 3.
    """

    abstract = True

    endpoints: ClassVar[Sequence[str]] = ()
    timeout_s: ClassVar[float] = 10.0
    metadata: ClassVar[Sequence[tuple[str, str]]] = ()

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        number, given = next(_NUMBERS), environment.host or os.environ.get("RPE_ENDPOINTS")
        endpoint = endpoint_of(given, number) or endpoint_of(",".join(self.endpoints), number)
        self._call: Any = None
        if endpoint is None:
            text = f"{type(self).__name__} has no endpoints"
            end_run(environment, str(ConfigurationError(text, hint="give them with --host a:1,b:2")))
            return
        # Channels that are made alike would share one connection, which no pool of callers does.
        self._channel = grpc.insecure_channel(endpoint, options=[("grpc.use_local_subchannel_pool", 1)])
        self._call = self._channel.unary_unary(_EXECUTE, response_deserializer=ExecuteResponse.FromString)

    def execute(
        self,
        manifest: Manifest,
        data: RuntimeData | Mapping[str, RuntimeData],
        *,
        name: str | None = None,
        timeout_s: float | None = None,
    ) -> Mapping[str, RuntimeData] | None:
        """Call a pipeline once, report it, and return its outputs by name; None where the call failed.

        Arguments are those of `rpe.locust.PipelineUser.execute`. The time includes the making of
        the request and the reading of the answer.
        """
        if self._call is None:
            return None
        inputs = data if isinstance(data, Mapping) else {manifest.entry: data}
        with timed(self.environment, name or manifest.name or manifest.entry) as call:
            request = ExecuteRequest(
                manifest=encode_manifest(manifest),
                data_inputs={node: encode(part) for node, part in inputs.items()},
                client_version="v1",
            )
            try:
                answer = self._call(
                    request.SerializeToString(),
                    timeout=self.timeout_s if timeout_s is None else timeout_s,
                    metadata=self.metadata or None,
                )
                if answer.WhichOneof("outcome") == "result":
                    call.size = answer.ByteSize()
                    return {out: decode(part) for out, part in answer.result.data_outputs.items()}
                call.error = f"the pipeline failed: {redact(answer.error.message)}"
            except grpc.RpcError as error:
                call.error = f"{error.code().name}: {redact(error.details() or '')}"[:200]
            except RpeError as error:
                call.error = brief(error)
        return None

    def on_stop(self) -> None:
        """Close the channel. A user that has an `on_stop` of its own calls this one, too."""
        if self._call is not None:
            self._channel.close()
