"""Makes the chain of steps that an execution goes down: pools, pipelines here, kept answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar

from rpe.client.fallback import CachedStep, FallbackChain, FallbackStep, FunctionStep, PoolStep
from rpe.clock import Clock
from rpe.data import RuntimeData
from rpe.node.context import RunContext
from rpe.node.contract import ORIGIN
from rpe.node.remote.options import RemoteOptions
from rpe.node.remote.settings import CachedSpec
from rpe.node.remote.shared import Pool, Step
from rpe.node.runner import PipelineRunner
from rpe.policy.chain_step import ChainSettings

__all__ = ["RUN", "make_chain"]

RUN: ContextVar[RunContext] = ContextVar("rpe_run", default=ORIGIN)
"""The run that an execution belongs to: a step of a chain knows nothing but its inputs."""


def make_chain(
    steps: tuple[Step, ...], settings: ChainSettings, clock: Clock, options: RemoteOptions
) -> FallbackChain:
    """Return the chain of these steps, which stay their owner's to close."""
    return FallbackChain(
        [_step(step, clock) for step in steps],
        settings,
        clock=clock,
        observers=options.observers,
        seed=options.seed,
    )


def _step(step: Step, clock: Clock) -> FallbackStep:
    if isinstance(step, CachedSpec):
        return CachedStep(step.name, max_age_s=step.max_age_s)
    spec = step.spec
    if isinstance(step, Pool):
        return PoolStep(spec.name, step.client, step.manifest, timeout_s=spec.timeout_s)
    return FunctionStep(spec.name, _function(step.runner), timeout_s=spec.timeout_s, clock=clock)


def _function(
    runner: PipelineRunner,
) -> Callable[[Mapping[str, RuntimeData]], Awaitable[Mapping[str, RuntimeData]]]:
    """A pipeline of this process as a function from inputs to outputs, named as servers name them."""

    async def run(inputs: Mapping[str, RuntimeData]) -> Mapping[str, RuntimeData]:
        (data,) = inputs.values()
        given = await runner.run(data, context=RUN.get())
        lone = len(given) == 1
        outputs: dict[str, RuntimeData] = {}
        for node_id, items in given.items():
            name = "output" if lone else node_id
            outputs |= {f"{name}.{place}" if place else name: item for place, item in enumerate(items)}
        return outputs

    return run
