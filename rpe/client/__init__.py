"""The reliable client: pool, policies and one deadline around any transport."""

from __future__ import annotations

from rpe.client.fallback import (
    AllStepsFailed,
    AnswerNotKept,
    CachedStep,
    ChainOutcome,
    ChainSettings,
    ChainStatistics,
    FallbackChain,
    FallbackStep,
    FunctionStep,
    PoolStep,
    StepCall,
    StepFailure,
)
from rpe.client.moving import MovingSession
from rpe.client.reliable import ReliableClient, connect
from rpe.client.session import ReliableSession, StreamSession
from rpe.client.settings import ClientSettings
from rpe.client.statistics import ClientStatistics, EndpointStatistics
from rpe.client.sync import SyncClient, connect_sync

__all__ = [
    "AllStepsFailed",
    "AnswerNotKept",
    "CachedStep",
    "ChainOutcome",
    "ChainSettings",
    "ChainStatistics",
    "ClientSettings",
    "ClientStatistics",
    "EndpointStatistics",
    "FallbackChain",
    "FallbackStep",
    "FunctionStep",
    "MovingSession",
    "PoolStep",
    "ReliableClient",
    "ReliableSession",
    "StepCall",
    "StepFailure",
    "StreamSession",
    "SyncClient",
    "connect",
    "connect_sync",
]
