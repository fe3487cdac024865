"""The retry budget: extra attempts are paid from what ordinary traffic pays in.

Without one, a total outage multiplies the load by the number of attempts. The idea is
Finagle's: each operation deposits a part of a token, each extra attempt costs a whole
one, and a small fixed inflow keeps quiet clients able to retry.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rpe.policy._settings import check_number

__all__ = ["BudgetSettings", "BudgetStatistics", "RetryBudget"]


_STEP_S = 0.01
"""Deposits let time flow in and leak out at most this often, in seconds; withdrawals always do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetSettings:
    """How many extra attempts are allowed.

    Arguments:
        ratio: tokens that each operation deposits: 0.2 allows one retry in five operations.
        min_per_s: tokens that flow in every second whatever the traffic.
        reserve_s: unspent tokens are kept for about this many seconds, so the most that can
            be saved is what flows in during them (and one token, which is always kept).

    Raises:
        ConfigurationError: a setting is out of range; the text names it.
    """

    ratio: float = 0.2
    min_per_s: float = 5.0
    reserve_s: float = 2.0

    def __post_init__(self) -> None:
        check_number("BudgetSettings.ratio", self.ratio)
        check_number("BudgetSettings.min_per_s", self.min_per_s)
        check_number("BudgetSettings.reserve_s", self.reserve_s, above=0.0)


@dataclass(frozen=True, slots=True)
class BudgetStatistics:
    """What a budget holds (tokens) and what became of all requests to it (counts)."""

    balance: float
    deposits: int
    withdrawals: int
    refusals: int


class RetryBudget:
    """A leaky token bucket whose size follows the traffic.

    A fixed size would be too small for a busy client, which loses dozens of attempts at
    once when an endpoint dies, or too big for an idle one. So tokens age instead: what
    stands above one token decays with the time constant `reserve_s`, and settles at
    inflow times `reserve_s`. It starts full for a client without traffic.
    """

    __slots__ = (
        "_at_s",
        "_balance",
        "_deposits",
        "_due_s",
        "_ratio",
        "_refusals",
        "_settings",
        "_withdrawals",
    )

    def __init__(self, settings: BudgetSettings | None = None) -> None:
        self._settings = settings = settings or BudgetSettings()
        allows_any = settings.ratio > 0.0 or settings.min_per_s > 0.0
        self._balance = settings.min_per_s * settings.reserve_s + 1.0 if allows_any else 0.0
        self._at_s: float | None = None
        self._ratio = settings.ratio
        self._due_s = -math.inf
        self._deposits = self._withdrawals = self._refusals = 0

    def deposit(self, now: float) -> None:
        """Pay in for one operation that begins at `now`."""
        if now >= self._due_s:  # every operation pays for this call, and a few milliseconds change nothing
            self._flow(now)
            self._due_s = now + _STEP_S
        self._balance += self._ratio
        self._deposits += 1

    def try_withdraw(self, now: float) -> bool:
        """Pay for one extra attempt; False, and nothing is taken, if there is not a whole token."""
        self._flow(now)
        if self._balance < 1.0:
            self._refusals += 1
            return False
        self._balance -= 1.0
        self._withdrawals += 1
        return True

    def statistics(self) -> BudgetStatistics:
        """Return the balance as of the last deposit or withdrawal, and the counts."""
        return BudgetStatistics(self._balance, self._deposits, self._withdrawals, self._refusals)

    def _flow(self, now: float) -> None:
        """Let the time since the last call flow in, and what is old leak out."""
        if self._at_s is None:
            self._at_s = now
        elapsed_s = now - self._at_s
        if elapsed_s <= 0.0:
            return
        self._at_s = now
        settings = self._settings
        if self._balance < 1.0:
            missing = 1.0 - self._balance
            if settings.min_per_s * elapsed_s <= missing:
                self._balance += settings.min_per_s * elapsed_s
                return
            elapsed_s -= missing / settings.min_per_s
            self._balance = 1.0
        level = settings.min_per_s * settings.reserve_s
        excess = self._balance - 1.0
        self._balance = 1.0 + level + (excess - level) * math.exp(-elapsed_s / settings.reserve_s)

    def __repr__(self) -> str:
        return f"<RetryBudget {self._balance:.2f} tokens, {self._withdrawals} paid, {self._refusals} refused>"
