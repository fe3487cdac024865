"""Active health checks: one task owns them all, bounded, jittered, never two at one endpoint."""

from __future__ import annotations

import asyncio
import logging
from random import Random

from rpe.client.pool import EndpointPool
from rpe.clock import Clock
from rpe.errors import RpeError
from rpe.policy.health import HealthSettings
from rpe.policy.member import Member
from rpe.transport.ports import ServingStatus

__all__ = ["Prober"]

_log = logging.getLogger(__name__)


class Prober:
    """Checks every endpoint of a pool at its interval, until it is cancelled.

    An endpoint's next check is planned when the last one has ended, so that a slow check
    never overlaps itself; the phases are drawn, so that many clients do not march in step.
    """

    def __init__(self, pool: EndpointPool, settings: HealthSettings, clock: Clock, rng: Random) -> None:
        self._pool = pool
        self._settings = settings
        self._clock = clock
        self._rng = rng
        self._slots = asyncio.Semaphore(settings.max_concurrent)
        self._due_s: dict[Member, float] = {}
        self._running: set[Member] = set()

    async def run(self) -> None:
        """Check until cancelled; every check ends with it."""
        async with asyncio.TaskGroup() as checks:
            while True:
                now_s = self._clock.now()
                self._follow_membership(now_s)
                for member, due_s in self._due_s.items():
                    if due_s <= now_s and member not in self._running:
                        self._running.add(member)
                        checks.create_task(self._check(member), name=f"health check of {member.key}")
                waiting = [due_s for member, due_s in self._due_s.items() if member not in self._running]
                # Checks that end meanwhile plan their next ones, and members come and go: look again soon.
                next_s = min([now_s + self._settings.interval_s / 4, *waiting])
                await self._clock.sleep(max(next_s - now_s, self._settings.interval_s / 100))

    def _follow_membership(self, now_s: float) -> None:
        members = set(self._pool.selector.members.values())
        for gone in set(self._due_s) - members:
            del self._due_s[gone]
        for member in members - set(self._due_s):
            # A first check anywhere within one interval: no herd when many clients start together.
            self._due_s[member] = now_s + self._rng.random() * self._settings.interval_s

    async def _check(self, member: Member) -> None:
        try:
            async with self._slots:
                ok, detail = await self._ask(member)
            now_s = self._clock.now()
            self._pool.report_health(member, ok, now_s, detail)
            if member in self._due_s:
                self._due_s[member] = member.health.next_probe_s(self._settings, now_s, self._rng)
        finally:
            self._running.discard(member)

    async def _ask(self, member: Member) -> tuple[bool, str]:
        client = self._pool.client_of(member)
        if client is None:
            return False, "removed from the pool"
        try:
            report = await client.check_health(timeout_s=self._settings.timeout_s)
        except RpeError as error:
            return False, error.message
        except Exception as error:
            # A check that fails in an unforeseen way must not end the checking of all the others.
            _log.exception("health check of %s failed unexpectedly", member.key)
            return False, f"{type(error).__name__}: {error}"
        return report.status is ServingStatus.SERVING, f"{report.means} says {report.status}"
