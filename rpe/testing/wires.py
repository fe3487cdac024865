"""The same calls on several wires: what each of them answered, and where they differ.

    async with PipelineFake(load_pipeline(built_in("tts")), {"grpc": 0, "http": 0}) as fake:
        calls = Calls(manifest, unary=[Text("hello")], chunks=[Text("one"), Text("two")])
        assert not differences(await answers_on_all(fake, calls))

Calls are made through the clients of the transports, which try once: a failure is an answer too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, Protocol

from rpe.data import RuntimeData, content_hash
from rpe.errors import DataValidationError, RpeError
from rpe.fakes.behaviour import Behaviour
from rpe.manifest.model import Manifest
from rpe.transport.ports import ClientStreamSession, PipelineClient
from rpe.transport.registry import get_transport

__all__ = ["Answers", "Calls", "Outcome", "Served", "answers_on", "answers_on_all", "differences"]


class Served(Protocol):
    """What is served on several wires, such as `rpe.fakes.pipelines.PipelineFake`."""

    @property
    def endpoints(self) -> Mapping[str, str]:
        """Where it listens, by wire."""
        ...

    @property
    def definition(self) -> Any:
        """What is served; its `behaviour` is the script."""
        ...

    async def set_behaviour(self, behaviour: Behaviour, /) -> None:
        """Begin the script again."""
        ...


@dataclass(frozen=True)
class Calls:
    """What is called on each wire: executions one after the other, and then one session.

    Attributes:
        manifest: the pipeline; the data goes to its input node.
        unary: the input of each execution.
        chunks: the chunks of the session, in order; without any there is no session.
        timeout_s: how long each execution, and the session, may take.
    """

    manifest: Manifest
    unary: Sequence[RuntimeData] = ()
    chunks: Sequence[RuntimeData] = ()
    timeout_s: float = 30.0


@dataclass(frozen=True)
class Outcome:
    """One thing that came back: data, or an error.

    Attributes:
        to: what it answers, such as `execute 0`, `chunk 3` or `session`.
        content: the content hash of each output by name.
        labels: the metadata of each output by name.
        error: the code of the error, empty where there is none.
        outputs: the data itself; it is no part of what is compared.
    """

    to: str
    content: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    error: str = ""
    outputs: Mapping[str, RuntimeData] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class Answers:
    """All that came back on one wire, in order."""

    wire: str
    outcomes: tuple[Outcome, ...]

    @property
    def errors(self) -> list[str]:
        """The codes of the errors, in order."""
        return [outcome.error for outcome in self.outcomes if outcome.error]

    def data(self, to: str) -> list[RuntimeData]:
        """Return the data that answered this, such as `chunk 3`, in order."""
        return [data for each in self.outcomes if each.to == to for data in each.outputs.values()]


async def answers_on(
    wire: str, endpoint: str, calls: Calls, config: Mapping[str, Any] | None = None
) -> Answers:
    """Make the calls on one wire and return what came back; `config` is that of the transport's client.

    Results of the session are read while its chunks are sent. Raises UnknownTransport for a wire
    that is not there.
    """
    client = get_transport(wire).create_client(endpoint, config or {})
    try:
        outcomes = await _executions(client, calls)
        if calls.chunks:
            outcomes += await _session(client, calls)
    finally:
        await client.close()
    return Answers(wire, tuple(outcomes))


async def answers_on_all(
    fake: Served, calls: Calls, config: Mapping[str, Any] | None = None
) -> list[Answers]:
    """Make the same calls on each wire of a fake, one wire after the other.

    The script begins anew for each, so that also what it does by number and by chance is the same.
    """
    answers = []
    for wire, endpoint in fake.endpoints.items():
        await fake.set_behaviour(fake.definition.behaviour)
        answers.append(await answers_on(wire, endpoint, calls, config))
    return answers


def differences(answers: Sequence[Answers]) -> list[str]:
    """Tell each place where a wire has answered otherwise than the first one; empty where all agree."""
    if not answers:
        return []
    first, *others = answers
    return [told for other in others for told in _differences(first, other)]


def _differences(first: Answers, other: Answers) -> Iterator[str]:
    for place, (one, two) in enumerate(zip_longest(first.outcomes, other.outcomes)):
        if one != two:
            yield (
                f"outcome {place}: {first.wire} has {one or 'nothing more'}, "
                f"{other.wire} has {two or 'nothing more'}"
            )


async def _executions(client: PipelineClient, calls: Calls) -> list[Outcome]:
    outcomes = []
    for number, data in enumerate(calls.unary):
        to = f"execute {number}"
        try:
            result = await client.execute(
                calls.manifest, {calls.manifest.entry: data}, timeout_s=calls.timeout_s
            )
        except RpeError as error:
            outcomes.append(Outcome(to, error=error.code))
        else:
            outcomes.append(_outcome(to, result.outputs))
    return outcomes


async def _session(client: PipelineClient, calls: Calls) -> list[Outcome]:
    outcomes: list[Outcome] = []
    end = Outcome("session")
    try:
        session = await client.open_stream(
            calls.manifest, timeout_s=calls.timeout_s, open_timeout_s=calls.timeout_s
        )
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_send(session, calls))
                while (result := await session.receive()) is not None:
                    outcomes.append(_outcome(f"chunk {result.sequence}", result.outputs))
        finally:
            session.cancel()
    except* RpeError as errors:  # one alone is caught as a group of one
        first = errors.exceptions[0]
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        end = Outcome("session", error=first.code)
    return [*outcomes, end]


async def _send(session: ClientStreamSession, calls: Calls) -> None:
    """Send all chunks while results are read, since either way may be full before the other is empty."""
    try:
        for number, data in enumerate(calls.chunks):
            await session.send(data, node_id=calls.manifest.entry, sequence=number)
        await session.finish()
    except DataValidationError:
        raise  # nothing was sent, and so nothing will end the session
    except RpeError:
        pass  # who reads is told the same, after the results that came before


def _outcome(to: str, outputs: Mapping[str, RuntimeData]) -> Outcome:
    return Outcome(
        to,
        {name: content_hash(data) for name, data in outputs.items()},
        {name: dict(data.metadata) for name, data in outputs.items()},
        outputs=outputs,
    )
