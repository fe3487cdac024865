"""The user: what a locustfile derives its own users from."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from locust import User, events
from locust.env import Environment
from locust.exception import StopUser
from locust.runners import MasterRunner

from rpe.client.settings import ClientSettings
from rpe.data import Payload, RuntimeData
from rpe.errors import ConfigurationError, RpeError
from rpe.load.frames import Frame
from rpe.load.messages import KINDS, brief, config_to_json, settings_to_json
from rpe.locust.bridge import EngineFailed
from rpe.locust.ending import end_run
from rpe.locust.engines import Engine, engine_for
from rpe.locust.replies import Reply, StreamReply
from rpe.manifest.model import Manifest

__all__ = ["PipelineUser"]


class PipelineUser(User):
    """A Locust user that calls pipelines at a pool of endpoints, by rpe's own client.

    What is set on the class:
        endpoints: the addresses of the pool, as `rpe.connect` takes them. Locust's `--host`
            (several separated by commas), and after it the environment variable `RPE_ENDPOINTS`,
            take their place.
        transport: the wire; `RPE_TRANSPORT` takes its place.
        settings: deadlines and policies of the client.
        transport_config: settings of the transport: text, numbers, TlsSettings.
        report: which of `execute`, `stream`, `open`, `chunk` and `attempt` Locust is told of.

    All users of one process that are set alike share one client, and so its connections,
    breakers and health checks, as callers in one application do. The client lives in the
    load engine, a process beside Locust's own; latencies are measured there.

    A user whose settings are wrong, or whose engine fails, ends the run with the exit code 3.
    """

    abstract = True

    endpoints: ClassVar[Sequence[str]] = ()
    transport: ClassVar[str] = "grpc"
    settings: ClassVar[ClientSettings] = ClientSettings()
    transport_config: ClassVar[Mapping[str, Any]] = {}
    report: ClassVar[Sequence[str]] = KINDS

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._engine = engine_for(environment)
        self._client: int | None = None
        try:
            self._client = _client(self._engine, self._order())
        except RpeError as error:
            end_run(environment, str(error))  # raising it here would only add a traceback of Locust's own

    def execute(
        self,
        manifest: Manifest,
        data: RuntimeData | Mapping[str, RuntimeData],
        *,
        name: str | None = None,
        timeout_s: float | None = None,
        repeatable: bool | None = None,
        keep: bool = True,
    ) -> Reply:
        """Run a pipeline once, and return the answer when it is there. A failed call is an answer, too.

        Arguments:
            manifest: the pipeline.
            data: the input of the pipeline's entry node, or inputs by node id.
            name: what the report calls it; the name of the manifest where it is None.
            timeout_s, repeatable: as for `ReliableClient.execute`.
            keep: whether the outputs are wanted; without them a call costs less.

        Raises DataValidationError where the data is none, and StopUser where the engine has failed.
        """
        payloads, bridge = self._engine.payloads, self._engine.bridge

        def call(name: str) -> Frame:
            order = {
                "client": self._client,
                "name": name,
                "manifest": payloads.manifest(manifest),
                "timeout_s": timeout_s,
                "repeatable": repeatable,
                "keep": keep,
            }
            if isinstance(data, Payload) and (number := payloads.order(data, order)) is not None:
                return bridge.call_again(number)
            return bridge.call(order | {"op": "execute", "data": payloads.inputs(data)}, payloads.trim)

        return Reply.read(self._call("execute", name or manifest.name or manifest.entry, call))

    def stream(
        self,
        manifest: Manifest,
        chunks: Iterable[RuntimeData],
        *,
        name: str | None = None,
        every_s: float = 0.0,
        timeout_s: float | None = None,
        repeatable: bool | None = None,
        keep: bool = False,
    ) -> StreamReply:
        """Send chunks through a session, and return when it has ended. A failed session is an answer, too.

        Arguments:
            manifest: the pipeline.
            chunks: what is sent. All of them are handed to the engine before the session is opened.
            name: what the report calls it; the name of the manifest where it is None.
            every_s: seconds from one chunk to the next; 0 sends as fast as the wire takes them.
                Chunks stay due at their own times when an earlier one is held up, and the
                latency of each counts from when it was due.
            timeout_s, repeatable: as for `ReliableClient.open_stream`.
            keep: whether the results are wanted.

        Raises DataValidationError where a chunk is none, and StopUser where the engine has failed.
        """
        payloads, bridge = self._engine.payloads, self._engine.bridge

        def call(name: str) -> Frame:
            order = {
                "op": "stream",
                "client": self._client,
                "name": name,
                "manifest": payloads.manifest(manifest),
                "chunks": [payloads.data(part) for part in chunks],
                "every_s": every_s,
                "timeout_s": timeout_s,
                "repeatable": repeatable,
                "keep": keep,
            }
            return bridge.call(order, payloads.trim)

        return StreamReply.read(self._call("stream", name or manifest.name or manifest.entry, call))

    def _call(self, kind: str, name: str, call: Callable[[str], Frame]) -> Frame:
        """Make a call. Raises StopUser where there is no client or the engine fails."""
        if self._client is None:
            raise StopUser
        started_s = time.monotonic()
        try:
            return call(name)
        except EngineFailed as error:
            self._engine.report(kind, name, (time.monotonic() - started_s) * 1000, 0, brief(error))
            raise StopUser from error

    def _order(self) -> dict[str, Any]:
        """Return what the engine makes a client of. Raises ConfigurationError."""
        given = self.environment.host or os.environ.get("RPE_ENDPOINTS", "")
        endpoints = [part.strip() for part in given.split(",") if part.strip()] or list(self.endpoints)
        if not endpoints:
            raise ConfigurationError(
                f"{type(self).__name__} has no endpoints",
                hint="give them with --host a:1,b:2, in RPE_ENDPOINTS, or as `endpoints` of the class",
            )
        if unknown := sorted(set(self.report) - set(KINDS)):
            raise ConfigurationError(
                f"{type(self).__name__}.report has {', '.join(unknown)}", hint=f"known: {', '.join(KINDS)}"
            )
        return {
            "op": "client",
            "endpoints": endpoints,
            "transport": os.environ.get("RPE_TRANSPORT") or self.transport,
            "settings": settings_to_json(self.settings),
            "config": config_to_json(self.transport_config),
            "report": list(self.report),
        }


@events.init.add_listener
def _warm_up(environment: Environment, **_: Any) -> None:
    """Start the engine before the test, so that the first user need not wait for it."""
    if not isinstance(environment.runner, MasterRunner) and any(
        issubclass(user, PipelineUser) for user in environment.user_classes
    ):
        engine_for(environment).bridge.settled.wait()


def _client(engine: Engine, order: dict[str, Any]) -> int:
    """Return the number of the client that is made of `order`. Raises ConfigurationError, EngineFailed."""
    key = json.dumps(order, sort_keys=True)
    known: int | None = engine.clients.get(key)
    if known is not None:
        return known
    number = engine.bridge.number()
    told = engine.bridge.call(order | {"id": number}).head
    if "error" in told:
        raise ConfigurationError(told["text"], hint=told["hint"])
    engine.clients[key] = number
    return number
