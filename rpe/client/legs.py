"""The legs of a session that moves: each is one attempt at one endpoint, with one outcome of its own."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Protocol

from rpe.client.attempts import Attempts
from rpe.client.classify import outcome_of, pushback_of
from rpe.client.operation import Opening
from rpe.client.pool import Lease
from rpe.clock import Clock
from rpe.errors import RpeError, StreamBroken
from rpe.manifest.model import Manifest
from rpe.policy.member import Member
from rpe.policy.retry import RetryDecision, RetryReason, RetrySettings
from rpe.telemetry.record import AttemptRecord
from rpe.transport.ports import ClientStreamSession, Metadata

__all__ = ["Journey", "Leg", "LegSource", "PoolLegs"]

_KEPT_RECORDS = 32
"""How many failed attempts a session remembers for its error; it may move for hours."""

_SHORTEST_LEG_S = 0.02
"""With less left than that, in seconds, no leg is opened."""


class Leg:
    """An open session with one endpoint, as a part of a longer one.

    `error` is what ended it, None while it is whole; `finished` says that it was told that no
    chunk follows, `fruitful` that a new result came on it.
    """

    __slots__ = ("_clock", "error", "finished", "fruitful", "lease", "record", "session")

    def __init__(self, session: ClientStreamSession, lease: Lease, clock: Clock) -> None:
        self.session = session
        self.lease = lease
        self.error: BaseException | None = None
        self.record: AttemptRecord | None = None
        self.finished = False
        self.fruitful = False
        self._clock = clock

    @property
    def endpoint(self) -> str:
        """The endpoint that it is bound to."""
        return self.lease.pick.member.key

    def succeed(self) -> None:
        """Write that the server has closed it in good order."""
        if not self.lease.ended:
            self.lease.succeed(self._clock.now())

    def fail(self, error: BaseException) -> None:
        """End it with an error, and write the outcome which that stands for; only the first call counts."""
        if self.error is not None:
            return
        self.error = error
        self.session.cancel()
        if not self.lease.ended:
            known = error if isinstance(error, RpeError) else None
            self.record = self.lease.fail(outcome_of(error), self._clock.now(), known, pushback_of(error))

    def __repr__(self) -> str:
        return f"Leg({self.session.session_id!r} at {self.endpoint})"


class LegSource(Protocol):
    """Where a moving session gets its legs from, and is told to what good they were.

    One session calls it, and never twice at once.
    """

    async def open(self, failed: Leg | None = None) -> Leg:
        """Open a leg, the first one or the one after `failed`, and wait until it is ready.

        Raises the error that ends the session where no leg may follow. Cancelling it leaves
        nothing open.
        """
        ...

    def progressed(self, leg: Leg) -> None:
        """Take note that the first new result has come on a leg: what failed before is forgiven."""
        ...

    def ended(self, leg: Leg, error: BaseException | None) -> None:
        """Take note of how the whole session has ended, on its last leg; None: in good order."""
        ...


class Journey(Opening):
    """The operation of a session that moves: each progress gives it all its retries anew."""

    __slots__ = ("_patience",)

    def __init__(
        self,
        manifest: Manifest,
        identity: str | None,
        metadata: Metadata,
        started_s: float,
        timeout_s: float,
        retry: RetrySettings,
    ) -> None:
        super().__init__(manifest, identity, metadata, started_s, timeout_s, repeatable=True, retry=retry)
        self._patience = retry.max_retries

    def progressed(self) -> None:
        """Let the attempt that runs count as a first one."""
        self.retry = replace(self.retry, max_retries=self.tries - 1 + self._patience)
        self.records = self.records[-_KEPT_RECORDS:]
        self.tried = ()
        self._rounds = 0
        self._reauthenticated = False

    def decide(
        self,
        record: AttemptRecord,
        member: Member,
        rng: Random,
        *,
        elsewhere: bool,
        pushback_s: float | None,
    ) -> RetryDecision:
        """Decide what follows a failed attempt; a broken leg is worth another one.

        Just before the deadline none is: it could only fail, and its endpoint would be blamed.
        """
        if isinstance(record.error, StreamBroken):
            record.error.retryable = True
        decision = super().decide(record, member, rng, elsewhere=elsewhere, pushback_s=pushback_s)
        left_s = self.deadline_s - record.ended_s - decision.delay_s
        if decision.retry and left_s < _SHORTEST_LEG_S:
            return RetryDecision(False, 0.0, RetryReason.NO_TIME)
        return decision


class PoolLegs:
    """Legs at the endpoints of one pool, by its policies: fills `LegSource`."""

    def __init__(self, attempts: Attempts, journey: Journey, open_timeout_s: float) -> None:
        self._attempts = attempts
        self._journey = journey
        self._open_timeout_s = open_timeout_s

    async def open(self, failed: Leg | None = None) -> Leg:
        """Open a leg, elsewhere where that can be (see the port). Every leg but the first one is a move."""
        attempts, journey = self._attempts, self._journey
        if failed is None:
            now_s = journey.started_s
        else:
            attempts.check_open()
            if failed.record is None:
                raise AssertionError("a leg that failed has a record")
            now_s = await attempts.pause(journey, failed.lease, failed.record)
        lease, session = await attempts.run(journey, self._open_timeout_s, now_s)
        lease.vouch(attempts.clock.now())
        if failed is not None:
            attempts.tally.moves += 1
        return Leg(session, lease, attempts.clock)

    def progressed(self, leg: Leg) -> None:
        """Forgive what failed before (see the port)."""
        self._journey.progressed()

    def ended(self, leg: Leg, error: BaseException | None) -> None:
        """Write the record of the operation (see the port)."""
        now_s = self._attempts.clock.now()
        if error is None:
            self._attempts.succeeded(self._journey, now_s, leg.lease)
        else:
            self._attempts.failed(self._journey, now_s, error, leg.lease)
