"""What a reliable client can be told. Every default is the one that the mission asks for."""

from __future__ import annotations

from dataclasses import dataclass, field

from rpe.errors import ConfigurationError
from rpe.policy.breaker import BreakerSettings
from rpe.policy.budget import BudgetSettings
from rpe.policy.health import HealthSettings
from rpe.policy.retry import RetrySettings

__all__ = ["ClientSettings"]

_ABOVE_ZERO = (
    "timeout_s",
    "attempt_timeout_s",
    "stream_timeout_s",
    "open_timeout_s",
    "replay_chunks",
    "replay_bytes",
    "stream_stall_timeout_s",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """Settings of a reliable client.

    Arguments:
        timeout_s: the deadline of an operation, all attempts, pauses and queueing included.
        attempt_timeout_s: the most one attempt may take. None leaves it to the client: while
            a repeatable operation has a retry left, an attempt gets half of what remains, so
            that one slow server never eats the whole deadline.
        stream_timeout_s: the deadline of a whole session.
        open_timeout_s: how long a session may take to be ready, at one endpoint.
        repeatable: whether doing an operation twice is harmless. Where it is not, only what
            certainly was not executed is retried. Each operation can say so for itself. Of a
            session it says that the results of a chunk depend on that chunk alone: such a
            session is moved to another endpoint when its own fails.
        replay_chunks, replay_bytes: how much a session that moves keeps to be sent again, at
            most: chunks that are not answered yet. When they are so many, `send` waits.
        stream_stall_timeout_s: when chunks of a session that moves are unanswered, and its
            caller has waited so long for a result, the endpoint counts as failed and the session
            moves. None trusts the transport to notice; set it only where every chunk is
            answered sooner than that.
        retry, budget, breaker, health: the policies (see `rpe.policy`).
        load_balance: `round_robin`, `least_connections` or `random`.
        panic_threshold: when fewer than this share of the endpoints pass their health
            checks, the checks are ignored, since more probably they are what is wrong.
    """

    timeout_s: float = 30.0
    attempt_timeout_s: float | None = None
    stream_timeout_s: float = 3600.0
    open_timeout_s: float = 10.0
    repeatable: bool = False
    replay_chunks: int = 256
    replay_bytes: int = 16 * 1024 * 1024
    stream_stall_timeout_s: float | None = None
    retry: RetrySettings = field(default_factory=RetrySettings)
    budget: BudgetSettings = field(default_factory=BudgetSettings)
    breaker: BreakerSettings = field(default_factory=BreakerSettings)
    health: HealthSettings = field(default_factory=HealthSettings)
    load_balance: str = "round_robin"
    panic_threshold: float = 0.5

    def __post_init__(self) -> None:
        for name in _ABOVE_ZERO:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigurationError(f"{name} is {value}, but must be above 0")
        if not 0 <= self.panic_threshold <= 1:
            raise ConfigurationError(
                f"panic_threshold is {self.panic_threshold}, but must be between 0 and 1"
            )
