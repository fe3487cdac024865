"""The HTTP client of one endpoint: one request per call, one try per request."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from weakref import WeakSet

from rpe.data import RuntimeData
from rpe.errors import ConnectionLost, DataValidationError, ProtocolViolation, RpeError
from rpe.manifest.model import Manifest
from rpe.transport.http.exchange import HttpExchange
from rpe.transport.http.keys import NODE_KEY, OUTPUT_KEY, WALL_TIME_KEY
from rpe.transport.http.labels import check_labels, own_data
from rpe.transport.http.session import HttpClientSession
from rpe.transport.http.settings import HttpSettings
from rpe.transport.http.status import answer_error
from rpe.transport.ports import (
    NO_METADATA,
    ClientStreamSession,
    ExecutionResult,
    HealthReport,
    Metadata,
    ServingStatus,
    VersionReport,
)
from rpe.wire.json import Transport, decode_output, encode_execute_request

__all__ = ["HttpPipelineClient"]

_GOODBYE_S = 1.0
"""How long the end of a session may take to reach the server, and how long `close` waits for it."""


class HttpPipelineClient:
    """Fills `rpe.transport.ports.PipelineClient` over one pool of connections.

    Requests and answers are JSON, as the contract has them: one input and one output per
    execution. A stream of events is the output of each session.
    """

    def __init__(self, endpoint: str, settings: HttpSettings) -> None:
        self.endpoint = endpoint
        self._exchange = HttpExchange(endpoint, settings)
        self._execute_url = self._exchange.url("/execute")
        self._health_url = self._exchange.url("/health")
        self._sessions: WeakSet[HttpClientSession] = WeakSet()
        self._goodbyes: set[asyncio.Task[None]] = set()

    async def execute(
        self,
        manifest: Manifest,
        inputs: Mapping[str, RuntimeData],
        *,
        timeout_s: float,
        metadata: Metadata = NO_METADATA,
    ) -> ExecutionResult:
        """Run a pipeline once (see the port). Cancelling it cancels the call at the server.

        Raises DataValidationError, before anything is sent, unless there is exactly one
        input: this wire has room for one.
        """
        if len(inputs) != 1:
            raise DataValidationError(
                f"holds {len(inputs)} inputs, but a request has one on this wire",
                field="inputs",
                endpoint=self.endpoint,
                hint="use a transport that carries inputs by name",
            )
        ((node_id, data),) = inputs.items()
        check_labels(data)
        # The server takes the manifest's own first node where none is named.
        beside = {} if node_id == manifest.entry else {NODE_KEY: node_id}
        exchange = self._exchange
        grant = exchange.bearer.fixed
        if grant is None:
            grant, timeout_s = await exchange.bearer.ask(timeout_s)
            metadata = (*grant.pairs, *metadata)
        try:
            answer = await exchange.ask(
                "POST",
                self._execute_url,
                encode_execute_request(manifest, data, metadata=beside),
                timeout_s=timeout_s,
                metadata=metadata,
            )
            if answer.status != 200:
                raise grant.judge(answer_error(answer.status, answer.headers, answer.body, self.endpoint))
            output = self._read(exchange.expect(answer))
        except RpeError as error:
            grant.hide(error)
            raise
        name = output.metadata.get(OUTPUT_KEY, "output")
        return ExecutionResult({name: own_data(output)}, _milliseconds(answer.headers.get(WALL_TIME_KEY)))

    async def open_stream(
        self,
        manifest: Manifest,
        *,
        timeout_s: float,
        open_timeout_s: float,
        metadata: Metadata = NO_METADATA,
    ) -> ClientStreamSession:
        """Open a session and wait until the server is ready and its output is connected (see the port)."""
        session = HttpClientSession(
            self._exchange, timeout_s=timeout_s, metadata=metadata, say_goodbye=self._say_goodbye
        )
        self._sessions.add(session)
        await session.open(manifest, open_timeout_s=open_timeout_s)
        return session

    async def check_health(self, *, timeout_s: float) -> HealthReport:
        """Ask `GET /health`: 200 is serving, 503 is not; anything else is an error (see the port)."""
        bearer = self._exchange.bearer
        grant, timeout_s = await bearer.ask(timeout_s)
        metadata = grant.pairs if bearer.fixed is None else NO_METADATA
        try:
            answer = await self._exchange.ask("GET", self._health_url, timeout_s=timeout_s, metadata=metadata)
        except RpeError as error:
            grant.hide(error)
            raise
        if answer.status not in (200, 503):
            raise grant.judge(answer_error(answer.status, answer.headers, answer.body, self.endpoint))
        status = ServingStatus.SERVING if answer.status == 200 else ServingStatus.NOT_SERVING
        return HealthReport(status, means="GET /health")

    async def get_version(self, *, timeout_s: float) -> VersionReport:
        """Say what can be known: that a pipeline server answers there. Raises what `check_health` raises."""
        await self.check_health(timeout_s=timeout_s)
        return VersionReport("v1", "", (), True, "this wire has no version call")

    async def close(self) -> None:
        """Break off running calls and sessions with ConnectionLost, and close every connection.

        Waits, for a second at most, until the servers of those sessions have been told.
        """
        for session in list(self._sessions):
            session.end(ConnectionLost("the client was closed under the session", endpoint=self.endpoint))
        try:
            if self._goodbyes:
                await asyncio.wait(self._goodbyes, timeout=_GOODBYE_S)
        finally:
            for goodbye in self._goodbyes:
                goodbye.cancel()
            await self._exchange.close()
            if self._goodbyes:
                await asyncio.wait(self._goodbyes)

    def __repr__(self) -> str:
        return f"HttpPipelineClient({self.endpoint!r})"

    def _read(self, body: bytes) -> Transport:
        try:
            return decode_output(body)
        except DataValidationError as error:
            raise ProtocolViolation(
                f"the answer is corrupted: {error.message}", endpoint=self.endpoint
            ) from error

    def _say_goodbye(self, path: str, metadata: Metadata) -> None:
        """Tell the server that a session is no longer wanted, in a task of this client."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # the loop has ended, and every connection with it
        if self._exchange.closed:
            return
        task = loop.create_task(self._delete(path, metadata))
        self._goodbyes.add(task)
        task.add_done_callback(self._goodbyes.discard)

    async def _delete(self, path: str, metadata: Metadata) -> None:
        try:
            await self._exchange.ask(
                "DELETE", self._exchange.url(path), timeout_s=_GOODBYE_S, metadata=metadata
            )
        except RpeError:
            pass  # the server finds out by itself: the output of the session is closed


def _milliseconds(told: str | None) -> float:
    """Read a time that is told beside an answer; what cannot be read is 0, as what is not told."""
    if told is None:
        return 0.0
    try:
        return max(float(told), 0.0)
    except ValueError:
        return 0.0
