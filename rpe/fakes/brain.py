"""The brain of a fake server: it does with each call what the script says, and remembers it."""

from __future__ import annotations

import asyncio
import hmac
import random
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace

from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.data import RuntimeData
from rpe.fakes.behaviour import Behaviour, CorruptMode, Health, HttpScript, ServiceModel
from rpe.fakes.caller_script import ReadScript, script_of
from rpe.fakes.corruption import BODY_DAMAGE, DAMAGE, garbage, strangers
from rpe.fakes.decide import Plan, call_rng, decide, decide_http, decide_media
from rpe.fakes.graph import Graph
from rpe.fakes.journal import Entry, Journal, Kind
from rpe.fakes.media import MediaLine
from rpe.fakes.nodes import BUILT_IN, NodeFailed, NodeFunction
from rpe.fakes.record import CallRecord
from rpe.fakes.service import CallService, ServerLoad
from rpe.fakes.service_work import work
from rpe.fakes.session import FakeSession
from rpe.manifest.model import Manifest
from rpe.transport.serving import (
    Answer,
    ApplicationError,
    RawAnswer,
    Refusal,
    Reply,
    ServerCall,
    ServerSession,
    StatusCode,
    VersionAnswer,
)

__all__ = ["Brain"]

_NO_HTTP = HttpScript()


class Brain:
    """Fills `rpe.transport.serving.PipelineHandler`; one brain can stand behind several wires.

    Arguments:
        behaviour: the script; the default is an honest server.
        nodes: the node types that it has, by name; those of `rpe.fakes.nodes` by default.
        name: what the journal calls this server; with `seed`, the source of all chance.
        journal: where everything is written down; one of its own by default.
        read_script: reads the scripts that callers bring (see `rpe.fakes.caller_script`); None takes none.
    """

    def __init__(
        self,
        behaviour: Behaviour | None = None,
        nodes: Mapping[str, NodeFunction] = BUILT_IN,
        *,
        name: str = "fake",
        seed: int = 0,
        clock: Clock = SYSTEM_CLOCK,
        journal: Journal | None = None,
        read_script: ReadScript | None = None,
    ) -> None:
        self.name = name
        self.journal = Journal(clock=clock) if journal is None else journal
        self._nodes = nodes
        self._seed = seed
        self._clock = clock
        self._read_script = read_script
        self._calls = 0
        self._load = ServerLoad()
        self._adopt(Behaviour() if behaviour is None else behaviour)

    @property
    def behaviour(self) -> Behaviour:
        """The script that new calls follow."""
        return self._behaviour

    def set_behaviour(self, behaviour: Behaviour) -> None:
        """Follow another script from the next call on; calls that run go on by the one they began with."""
        changed = self._changed
        self._adopt(behaviour)
        shown = behaviour.model_dump_json(exclude_defaults=True, exclude={"token", "other_token"})
        self.journal.append(Entry(Kind.SCRIPT, self._clock.now(), self.name, detail=shown))
        changed.set()

    def _adopt(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._number = 0
        self._load.first_s = None
        self._changed = asyncio.Event()
        capacity = behaviour.capacity
        self._workers = asyncio.Semaphore(capacity.workers) if capacity is not None else None

    async def execute(self, call: ServerCall, manifest: Manifest, inputs: Mapping[str, RuntimeData]) -> Reply:
        """Answer a unary execution as the script has it."""
        record = self._record(call)
        with record.kept(record.hashes(inputs)), self._in_flight():
            started_s = self._clock.now()
            async with self._admitted(call, record) as (plan, rng, _):
                reply = await self._answer(plan, rng, record, manifest, inputs, started_s)
                reply = _break_body(reply, plan, record)
            if isinstance(reply, ApplicationError):
                record.failed(reply)
            else:
                record.write(
                    Kind.SENT, content=record.hashes(reply.outputs) if isinstance(reply, Answer) else None
                )
            return reply

    async def stream(self, call: ServerCall, session: ServerSession) -> None:
        """Serve a session as the script has it."""
        record = self._record(call)
        with record.kept(record.hashes(session.inputs)), self._in_flight():
            async with self._admitted(call, record) as (plan, rng, behaviour):
                try:
                    _fail_by_script(plan, record)
                    graph = Graph(session.manifest, self._nodes, self._clock)
                except NodeFailed as failed:
                    record.failed(failed.error)
                    await session.send_error(failed.error)
                    return
                session_id = f"{self.name}-{record.number}"

                def recheck() -> None:
                    if self._behaviour.recheck_token:
                        self._check_token(call, record)

                fake = FakeSession(session, graph, behaviour, plan, rng, record, self._clock, recheck)
                await fake.serve(session_id)

    async def version(self, call: ServerCall) -> VersionAnswer:
        """Say what this fake is, where the script lets it."""
        record = self._record(call)
        with record.kept():
            behaviour = self._behaviour
            self._check_token(call, record)
            if behaviour.health is Health.HANG:
                record.fault("health", "hang")
                await _for_ever()
            if behaviour.health is Health.NOT_SERVING:
                record.fault("health", "not_serving")
                raise Refusal(StatusCode.UNAVAILABLE, "not serving")
            record.write(Kind.SENT)
            said = behaviour.version
            return VersionAnswer(
                node_types=tuple(self._nodes) if said.node_types is None else said.node_types,
                protocol_version=said.protocol_version,
                runtime_version=said.runtime_version,
                compatible=said.compatible,
                message=said.message,
            )

    async def admit(self, call: ServerCall) -> None:
        """Let a caller with the right token in. Only a refusal is written down."""
        if not _may_enter(call, self._behaviour):
            record = self._record(call)
            with record.kept():
                self._check_token(call, record)

    def idle_timeout_s(self) -> float | None:
        """Say how long the script lets a connection be idle."""
        return self._behaviour.http.idle_close_s

    def idle_closed(self) -> None:
        """Write down that a connection was closed for being idle."""
        self.journal.append(Entry(Kind.FAULT, self._clock.now(), self.name, fault="http_idle"))

    def serving(self) -> bool:
        """Say what a health check gets, if it gets an answer."""
        return self._behaviour.health is Health.SERVING

    async def health(self, call: ServerCall, last: bool | None) -> bool:
        """Answer a health check once the answer differs from `last`, or as the script has it."""
        record = self._record(call)
        with record.kept():
            while True:
                changed, said = self._changed, self._behaviour.health
                if said is not Health.SERVING:
                    record.fault("health", said)
                if said is Health.UNIMPLEMENTED:
                    raise Refusal(StatusCode.UNIMPLEMENTED, "there is no health service here")
                if said is not Health.HANG and self.serving() != last:
                    record.write(Kind.SENT, detail=said)
                    return self.serving()
                await changed.wait()

    def _record(self, call: ServerCall) -> CallRecord:
        self._calls += 1
        return CallRecord(self.journal, self._clock, self.name, self._calls, call)

    @contextmanager
    def _in_flight(self) -> Iterator[None]:
        self.journal.in_flight += 1
        try:
            yield
        finally:
            self.journal.in_flight -= 1

    @asynccontextmanager
    async def _admitted(
        self, call: ServerCall, record: CallRecord
    ) -> AsyncIterator[tuple[Plan, random.Random, Behaviour]]:
        """Let a call in, or refuse it; inside, a worker is busy with it and its latency is over.

        Yields what happens to it, its generator, and the script that it follows.
        """
        behaviour, workers = self._behaviour, self._workers
        self._check_token(call, record)
        overload = behaviour.overload
        if overload is not None and self.journal.in_flight > overload.above_in_flight:
            record.fault("overload", f"{self.journal.in_flight} in flight")
            raise Refusal(
                StatusCode.RESOURCE_EXHAUSTED,
                "too many calls in flight",
                retry_after_s=overload.retry_after_s,
            )
        name, number = self.name, self._number
        if (brought := script_of(call, self._read_script)) is not None:
            # Neither the script nor the count of the other calls has a part in what happens to this one.
            behaviour = brought
            name, number = f"{name}/script/{call.operation_id}", max(call.attempt - 1, 0)
        else:
            self._number += 1
        rng = call_rng(self._seed, name, number)
        plan = decide(behaviour, number, rng)
        if behaviour.http.model_fields_set and behaviour.http != _NO_HTTP:
            http_rng = call_rng(self._seed, f"{name}/http", number)
            plan = replace(plan, http=decide_http(behaviour.http, number, http_rng))
        if (media := decide_media(behaviour.media, self._seed, name, number)) is not None:
            plan = replace(plan, media=media)
        if behaviour.service is not None:
            plan = replace(plan, service=self._service(behaviour.service, number, theirs=brought is not None))
        if workers is not None:
            if workers.locked():
                record.fault("capacity", "waits for a worker")
            await workers.acquire()
        self._load.working += 1
        try:
            await self._delay_or_fail(plan, record)
            yield plan, rng, behaviour
        finally:
            self._load.working -= 1
            if workers is not None:
                workers.release()

    def _service(self, model: ServiceModel, number: int, *, theirs: bool) -> CallService:
        """Return what times the work on a call; by a script of its caller (`theirs`), it warms up alone."""
        now_s = self._clock.now()
        if theirs:
            return CallService(model, self._load, number, now_s)
        if self._load.first_s is None:
            self._load.first_s = now_s
        return CallService(model, self._load, number, self._load.first_s)

    async def _delay_or_fail(self, plan: Plan, record: CallRecord) -> None:
        if plan.latency_s is not None:
            record.fault("latency", f"{plan.latency_s:.6f}")
            await self._clock.sleep(plan.latency_s)
        if plan.hang is not None:
            record.fault("hang")
            await _for_ever()
        if (error := plan.error) is not None:
            record.fault("error", error.status)
            raise Refusal(error.status, error.message, retry_after_s=error.retry_after_s)
        if (told := plan.http.status) is not None:
            record.fault("http_status", str(told.code))
            raise Refusal(
                StatusCode.UNKNOWN,
                f"{told.message} {told.code}",
                retry_after_s=told.retry_after_s,
                http_status=told.code,
            )

    async def _answer(
        self,
        plan: Plan,
        rng: random.Random,
        record: CallRecord,
        manifest: Manifest,
        inputs: Mapping[str, RuntimeData],
        started_s: float,
    ) -> Reply:
        try:
            _fail_by_script(plan, record)
            graph = Graph(manifest, self._nodes, self._clock)
            if plan.service is not None:
                await work(plan.service, inputs.values(), self._clock, record)
            given = await graph.run({name: [data] for name, data in inputs.items()})
        except NodeFailed as failed:
            return failed.error
        outputs: dict[str, RuntimeData] = {}
        for node_id, results in given.items():
            name = graph.name_output(node_id)
            outputs |= {f"{name}.{i}" if i else name: data for i, data in enumerate(results)}
        if plan.media is not None:
            outputs, wait_s, told = MediaLine(plan.media).answer(outputs)
            for fault in told:
                record.fault(*fault)
            if wait_s:
                await self._clock.sleep(wait_s)
        answer = Answer(outputs, wall_time_ms=(self._clock.now() - started_s) * 1000)
        if plan.corrupt is None:
            return answer
        mode = plan.corrupt.mode
        record.fault("corrupt", mode)
        if mode is CorruptMode.GARBAGE:
            return RawAnswer(garbage(rng))
        if mode is CorruptMode.WRONG_OUTPUT:
            return Answer(strangers(outputs), answer.wall_time_ms)
        return Answer(outputs, answer.wall_time_ms, DAMAGE[mode])

    def _check_token(self, call: ServerCall, record: CallRecord) -> None:
        if not _may_enter(call, self._behaviour):
            record.fault("token", "refused")
            raise Refusal(StatusCode.UNAUTHENTICATED, "the token is missing or wrong")


def _may_enter(call: ServerCall, behaviour: Behaviour) -> bool:
    """Whether the call brings a token that is taken, or none is asked for."""
    if behaviour.token is None:
        return True
    sent = call.metadata.get("authorization", "").encode()
    taken = (behaviour.token, behaviour.other_token or behaviour.token)
    # Both are always compared, so that the time this takes tells nothing.
    return any([hmac.compare_digest(sent, f"Bearer {token}".encode()) for token in taken])  # noqa: C419


def _fail_by_script(plan: Plan, record: CallRecord) -> None:
    if (error := plan.application_error) is not None:
        record.fault("application_error", error.error_type)
        raise NodeFailed(ApplicationError(error.error_type, error.message, error.node_id))


def _break_body(reply: Reply, plan: Plan, record: CallRecord) -> Reply:
    """Break the body of an answer, where the script wants it and nothing else has."""
    body = plan.http.body
    if body is None or not isinstance(reply, Answer) or reply.damage is not None:
        return reply
    record.fault("http_body", body.how)
    return replace(reply, damage=BODY_DAMAGE[body.how])


async def _for_ever() -> None:
    await asyncio.get_running_loop().create_future()
