"""Reliability policies: decisions only.

Nothing here does I/O, tells the time or draws chance of its own: everything takes `now`
(seconds of one monotonic clock) and random numbers, and answers with a decision.
"""

from __future__ import annotations

from rpe.policy.backoff import BackoffSettings, backoff_s
from rpe.policy.balancer import (
    BALANCERS,
    Balancer,
    Candidate,
    LeastConnections,
    RandomChoice,
    RoundRobin,
    make_balancer,
)
from rpe.policy.breaker import (
    Admission,
    Breaker,
    BreakerEvent,
    BreakerSettings,
    BreakerState,
    BreakerStatistics,
    Transition,
    breaker_diagram,
)
from rpe.policy.budget import BudgetSettings, BudgetStatistics, RetryBudget
from rpe.policy.chain import ChainHealth
from rpe.policy.chain_step import (
    ChainSettings,
    StepState,
    StepStatistics,
    StepSwitch,
    Turn,
    TurnKind,
    chain_diagram,
)
from rpe.policy.cooldown import CooldownSettings, cooldown_s
from rpe.policy.deadline import attempt_timeout_s
from rpe.policy.health import HealthSettings, HealthState, HealthVerdict
from rpe.policy.member import Member, MemberStatistics
from rpe.policy.outcome import OperationOutcome, Outcome
from rpe.policy.pick import Pick, PickReason, Refusal, RefusalReason
from rpe.policy.retry import RetryDecision, RetryReason, RetrySettings, decide_retry
from rpe.policy.selection import Selector, SelectorStatistics

__all__ = [
    "BALANCERS",
    "Admission",
    "BackoffSettings",
    "Balancer",
    "Breaker",
    "BreakerEvent",
    "BreakerSettings",
    "BreakerState",
    "BreakerStatistics",
    "BudgetSettings",
    "BudgetStatistics",
    "Candidate",
    "ChainHealth",
    "ChainSettings",
    "CooldownSettings",
    "HealthSettings",
    "HealthState",
    "HealthVerdict",
    "LeastConnections",
    "Member",
    "MemberStatistics",
    "OperationOutcome",
    "Outcome",
    "Pick",
    "PickReason",
    "RandomChoice",
    "Refusal",
    "RefusalReason",
    "RetryBudget",
    "RetryDecision",
    "RetryReason",
    "RetrySettings",
    "RoundRobin",
    "Selector",
    "SelectorStatistics",
    "StepState",
    "StepStatistics",
    "StepSwitch",
    "Transition",
    "Turn",
    "TurnKind",
    "attempt_timeout_s",
    "backoff_s",
    "breaker_diagram",
    "chain_diagram",
    "cooldown_s",
    "decide_retry",
    "make_balancer",
]
