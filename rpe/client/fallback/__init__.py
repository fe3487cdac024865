"""Fallback chains: primary pool, secondary pool, a local pipeline, the last good answer, an error."""

from __future__ import annotations

from rpe.client.fallback.cache import CachedStep
from rpe.client.fallback.chain import FallbackChain
from rpe.client.fallback.errors import AllStepsFailed, AnswerNotKept, StepFailure
from rpe.client.fallback.statistics import ChainOutcome, ChainStatistics
from rpe.client.fallback.steps import LONE_INPUT, FallbackStep, FunctionStep, PoolStep, StepCall
from rpe.policy.chain_step import ChainSettings

__all__ = [
    "LONE_INPUT",
    "AllStepsFailed",
    "AnswerNotKept",
    "CachedStep",
    "ChainOutcome",
    "ChainSettings",
    "ChainStatistics",
    "FallbackChain",
    "FallbackStep",
    "FunctionStep",
    "PoolStep",
    "StepCall",
    "StepFailure",
]
