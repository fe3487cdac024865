"""The steps of a fallback chain that execute: a pool of endpoints, and a function of this process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from rpe.client.reliable import ReliableClient
from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.data import Payload, RuntimeData
from rpe.errors import (
    AllEndpointsFailed,
    ConfigurationError,
    RemoteExecutionFailed,
    RemoteTimeout,
    RpeError,
    redact,
)
from rpe.manifest.model import Manifest
from rpe.policy._settings import check_number
from rpe.transport.ports import NO_METADATA, ExecutionResult, Metadata

__all__ = ["LONE_INPUT", "FallbackStep", "FunctionStep", "PoolStep", "StepCall"]

LONE_INPUT = "input"
"""The name of a lone input. A pool hands it to its manifest's entry node, whatever that is called."""


@dataclass(frozen=True, slots=True)
class StepCall:
    """What a chain asks of a step.

    Arguments:
        inputs: the data by node id; a lone input is called `LONE_INPUT`.
        timeout_s: how long the step may take, in seconds.
        repeatable: whether doing it twice is harmless.
        operation_id, metadata: as in `ReliableClient.execute`.
        max_retries: attempts after the first one, at most; None for a step that makes none.
        followed: another step could still execute it, so that waiting for this one to get
            well is not worth it.
    """

    inputs: Mapping[str, RuntimeData]
    timeout_s: float
    repeatable: bool = False
    operation_id: str | None = None
    metadata: Metadata = field(default=NO_METADATA, repr=False)
    max_retries: int | None = None
    followed: bool = False


class FallbackStep(Protocol):
    """One way to an answer. It may have a `timeout_s`: the most that it may take of an operation.

    `execute` ends within the call's `timeout_s`, raises errors of `rpe.errors`, and lists in
    their `attempts` what it sent; the chain counts them.
    """

    @property
    def name(self) -> str:
        """What outcomes, errors and statistics call it; unique in a chain."""
        ...

    async def execute(self, call: StepCall) -> ExecutionResult:
        """Answer the call."""
        ...


class PoolStep:
    """A pipeline on a pool of endpoints, with its client's own policies.

    While other steps follow, it makes one round over its pool and no second one: the next step
    answers at once, and a second round would have to wait first.

    Arguments:
        name: what the chain calls it.
        client: the client of the pool; whoever made it closes it.
        manifest: the pipeline as this pool runs it.
        timeout_s: the most this step may take of an operation, in seconds. None: while
            other steps follow and the operation is repeatable, half of what remains.
    """

    def __init__(
        self, name: str, client: ReliableClient, manifest: Manifest, *, timeout_s: float | None = None
    ) -> None:
        check_step(name, timeout_s)
        self.name = name
        self.client = client
        self.manifest = manifest
        self.timeout_s = timeout_s

    async def execute(self, call: StepCall) -> ExecutionResult:
        """Run the pipeline on the pool. Raises what the client does."""
        client = self.client
        try:
            return await client.execute(
                self.manifest,
                self._inputs(call.inputs),
                timeout_s=call.timeout_s,
                repeatable=call.repeatable,
                max_retries=self.retries(call),
                operation_id=call.operation_id,
                metadata=call.metadata,
            )
        except ConfigurationError as error:
            if client.pool_size:
                raise
            # Whoever takes the last endpoint out of a pool wants the next step, and no error.
            raise AllEndpointsFailed(error.message, hint=error.hint, maybe_executed=False) from error

    def retries(self, call: StepCall) -> int:
        """Return how often a call may be tried again at this pool."""
        retries = self.client.settings.retry.max_retries
        if call.max_retries is not None:
            retries = min(retries, call.max_retries)
        if call.followed:
            retries = min(retries, max(self.client.pool_size - 1, 0))
        return retries

    def _inputs(self, inputs: Mapping[str, RuntimeData]) -> Mapping[str, RuntimeData]:
        if len(inputs) == 1 and LONE_INPUT in inputs and self.manifest.node(LONE_INPUT) is None:
            return {self.manifest.entry: inputs[LONE_INPUT]}
        return inputs

    def __repr__(self) -> str:
        return f"PoolStep({self.name!r}, {self.client!r})"


class FunctionStep:
    """A function of this process: a local node, or a local pipeline.

    Arguments:
        name: what the chain calls it.
        function: gives outputs by name for inputs by name. It is cancelled when its time is up.
        timeout_s: the most this step may take of an operation, in seconds; None as in `PoolStep`.
        clock: measures it.
    """

    def __init__(
        self,
        name: str,
        function: Callable[[Mapping[str, RuntimeData]], Awaitable[Mapping[str, RuntimeData]]],
        *,
        timeout_s: float | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        check_step(name, timeout_s)
        self.name = name
        self.timeout_s = timeout_s
        self._function = function
        self._clock = clock

    async def execute(self, call: StepCall) -> ExecutionResult:
        """Call the function.

        Raises its errors of `rpe.errors` as they are, any other as RemoteExecutionFailed, and
        RemoteTimeout when its time is up; the function was then cancelled, and has ended.
        """
        try:
            async with self._clock.deadline(self._clock.now() + call.timeout_s):
                return ExecutionResult(await self._answer(call.inputs))
        except TimeoutError:
            raise RemoteTimeout(
                f"the function took longer than {call.timeout_s:.3f} s",
                node=self.name,
                hint="raise timeout_s, or let the function do less",
            ) from None

    async def _answer(self, inputs: Mapping[str, RuntimeData]) -> Mapping[str, RuntimeData]:
        try:
            outputs = dict(await self._function(inputs))
            for name, data in outputs.items():
                if not isinstance(data, Payload):
                    raise TypeError(f"it gave a {type(data).__name__} as {name!r}")
            return outputs
        except RpeError:
            raise
        except Exception as error:
            raise RemoteExecutionFailed(
                redact(f"the function failed: {type(error).__name__}: {error}"),
                node=self.name,
                error_type="local",
                retryable=False,
                hint="look at the function of this step",
            ) from error

    def __repr__(self) -> str:
        return f"FunctionStep({self.name!r})"


def check_step(name: str, timeout_s: float | None = None) -> None:
    """Raise ConfigurationError where a step has no name, or no time."""
    if not name:
        raise ConfigurationError("a step of a chain needs a name")
    if timeout_s is not None:
        check_number(f"timeout_s of step {name!r}", timeout_s, above=0.0)
