"""Active health checks: what their answers say of one endpoint, and when to ask again.

A check says whether an endpoint may be used, never that it must be: a passing check closes
no breaker, because a server can answer checks and fail at its work.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rpe.policy._settings import check_flag, check_number, check_relation, check_whole

if TYPE_CHECKING:
    from random import Random

__all__ = ["HealthSettings", "HealthState", "HealthVerdict"]

# While the last answers contradict the verdict, or have just turned it bad, asking again
# soon settles it (Envoy calls such intervals "edge").
_EDGE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthSettings:
    """How endpoints are checked.

    Arguments:
        interval_s: seconds from the end of a check to the next one of the same endpoint.
        timeout_s: a check without an answer after this many seconds has failed.
        jitter: a pause is drawn from [1 - jitter, 1 + jitter] times the nominal one.
        unhealthy_after: consecutive failed checks that take an endpoint out of use.
        healthy_after: consecutive passed checks that bring it back.
        max_concurrent: checks of a pool that run at the same time, at most.
        enabled: False: no checks are made, and every endpoint counts as healthy.

    Raises:
        ConfigurationError: a setting is out of range; the text names it.
    """

    interval_s: float = 5.0
    timeout_s: float = 2.0
    jitter: float = 0.2
    unhealthy_after: int = 2
    healthy_after: int = 1
    max_concurrent: int = 32
    enabled: bool = True

    def __post_init__(self) -> None:
        check_number("HealthSettings.interval_s", self.interval_s, above=0.0)
        check_number("HealthSettings.timeout_s", self.timeout_s, above=0.0)
        check_number("HealthSettings.jitter", self.jitter, most=1.0)
        check_whole("HealthSettings.unhealthy_after", self.unhealthy_after, least=1)
        check_whole("HealthSettings.healthy_after", self.healthy_after, least=1)
        check_whole("HealthSettings.max_concurrent", self.max_concurrent, least=1)
        check_flag("HealthSettings.enabled", self.enabled)
        check_relation(self.timeout_s <= self.interval_s, "HealthSettings.timeout_s", "at most interval_s")


class HealthVerdict(enum.StrEnum):
    """What the checks so far say; UNKNOWN, before they say anything, counts as usable."""

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class HealthState:
    """The checks of one endpoint."""

    __slots__ = ("_settings", "_streak", "_verdict")

    def __init__(self, settings: HealthSettings) -> None:
        self._settings = settings
        self._verdict = HealthVerdict.UNKNOWN
        self._streak = 0  # consecutive answers of one kind: passed ones above zero, failed ones below

    @property
    def verdict(self) -> HealthVerdict:
        """What the checks so far say."""
        return self._verdict

    @property
    def usable(self) -> bool:
        """False only after checks have failed."""
        return self._verdict is not HealthVerdict.UNHEALTHY

    def record(self, ok: bool) -> bool:
        """Take in the answer of a check; returns whether the verdict changed by it."""
        self._streak = max(self._streak, 0) + 1 if ok else min(self._streak, 0) - 1
        before = self._verdict
        if self._streak >= self._settings.healthy_after:
            self._verdict = HealthVerdict.HEALTHY
        elif -self._streak >= self._settings.unhealthy_after:
            self._verdict = HealthVerdict.UNHEALTHY
        return self._verdict is not before

    def next_probe_s(self, settings: HealthSettings, now: float, rng: Random) -> float:
        """Return when to check next, as a time, if the last check ended at `now`.

        The first check of all comes at a random moment of the first interval, so that
        neither the endpoints of a pool nor the clients of an endpoint check in step.
        While the verdict is in doubt the pause is halved.
        """
        if self._streak == 0:
            return now + settings.interval_s * rng.random()
        pause_s = settings.interval_s * (_EDGE if self._in_doubt() else 1.0)
        return now + pause_s * (1.0 - settings.jitter + 2.0 * settings.jitter * rng.random())

    def _in_doubt(self) -> bool:
        """Is the verdict contradicted by the last answers, or has it just turned bad?"""
        settings, streak = self._settings, self._streak
        return 0 < streak < settings.healthy_after or -settings.unhealthy_after <= streak < 0

    def __repr__(self) -> str:
        return f"<HealthState {self._verdict}, streak {self._streak}>"
