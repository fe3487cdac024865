"""What a chain tells: how an operation was answered, and how the steps stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rpe.client.fallback.errors import StepFailure
from rpe.policy.chain_step import StepStatistics
from rpe.transport.ports import ExecutionResult

__all__ = ["ChainOutcome", "ChainStatistics"]


@dataclass(frozen=True, slots=True)
class ChainOutcome:
    """The answer to an operation, and where it came from.

    Arguments:
        result: the answer.
        step: the name of the step that gave it.
        age_s: how old it is, in seconds, where it is a kept one; None for a fresh one.
        failures: the steps that were tried before, each with its reason.
    """

    result: ExecutionResult
    step: str
    age_s: float | None = None
    failures: tuple[StepFailure, ...] = ()


@dataclass(frozen=True, slots=True)
class ChainStatistics:
    """A chain's counts since it was made, and its steps as they stand, by name and in order.

    `answered`, `failed` and `cancelled` count operations.
    """

    answered: int
    failed: int
    cancelled: int
    steps: Mapping[str, StepStatistics]
