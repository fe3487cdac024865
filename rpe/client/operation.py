"""One operation: its one deadline, what it has tried, what may be tried next, and its final error.

This is the memory of the retry loop, the same for executions and for the opening of
sessions. It decides nothing itself: it asks `rpe.policy` and says what follows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Mapping, Sequence
from random import Random
from typing import Generic, TypeVar

from rpe.client.classify import lies_behind
from rpe.data import RuntimeData
from rpe.errors import (
    AllEndpointsFailed,
    AuthenticationFailed,
    CircuitBreakerOpen,
    ConfigurationError,
    RemoteTimeout,
    RpeError,
)
from rpe.manifest.model import Manifest
from rpe.policy.member import Member
from rpe.policy.pick import Refusal, RefusalReason
from rpe.policy.retry import RetryDecision, RetryReason, RetrySettings, decide_retry
from rpe.telemetry.record import AttemptRecord
from rpe.transport.ports import (
    ATTEMPT_KEY,
    OPERATION_KEY,
    ClientStreamSession,
    ExecutionResult,
    Metadata,
    PipelineClient,
)

__all__ = ["Execution", "Opening", "Operation"]

T = TypeVar("T")

_ATTEMPT_PAIRS = tuple((ATTEMPT_KEY, str(number)) for number in range(8))
"""Made once, since each attempt that says which one it is carries one."""


class Operation(ABC, Generic[T]):
    """What a caller asked for, from then until it is told the result or the error.

    `kind` is `execute` or `stream`; `identity` is the name that the caller gave it, sent to
    servers with each attempt, or None; `started_s` and `deadline_s` are of the client's clock.
    """

    kind = ""

    __slots__ = (
        "_metadata",
        "_reauthenticated",
        "_refused_tokens",
        "_rounds",
        "attempts",
        "deadline_s",
        "identity",
        "manifest",
        "records",
        "repeatable",
        "retry",
        "started_s",
        "tried",
    )

    def __init__(
        self,
        manifest: Manifest,
        identity: str | None,
        metadata: Metadata,
        started_s: float,
        timeout_s: float,
        repeatable: bool,
        retry: RetrySettings,
    ) -> None:
        self.manifest = manifest
        self.identity = identity
        self.started_s = started_s
        self.deadline_s = started_s + timeout_s
        self.repeatable = repeatable
        self.retry = retry
        self.attempts = 0
        self.tried: Sequence[Member] = ()
        self.records: Sequence[AttemptRecord] = ()
        self._metadata = metadata
        self._reauthenticated = False
        self._refused_tokens = 0
        self._rounds = 0

    @property
    def tries(self) -> int:
        """The attempts that count as such: all but those that were made again with another token."""
        return self.attempts - self._refused_tokens

    @abstractmethod
    def send(self, client: PipelineClient, now_s: float, limit_s: float) -> Awaitable[T]:
        """Make one attempt with a transport client, now; it may take `limit_s` seconds."""

    def metadata(self) -> Metadata:
        """Return the pairs that travel with the attempt that is now made."""
        if self.identity is None:
            return self._metadata
        number = self.attempts
        pair = _ATTEMPT_PAIRS[number] if number < len(_ATTEMPT_PAIRS) else (ATTEMPT_KEY, str(number))
        return ((OPERATION_KEY, self.identity), pair, *self._metadata)

    def decide(
        self,
        record: AttemptRecord,
        member: Member,
        rng: Random,
        *,
        elsewhere: bool,
        pushback_s: float | None,
    ) -> RetryDecision:
        """Take a failed attempt's record, and decide what follows it.

        One that was refused for its token, where there may be another now, is made again at once,
        by whichever endpoint is next, and is no retry: a server was asked, and did nothing. That
        is done once; the next refusal is final.
        """
        error = record.error
        if error is None:
            raise AssertionError("a failed attempt has an error")
        self.records = (*self.records, record)
        remaining_s = self.deadline_s - record.ended_s
        if isinstance(error, AuthenticationFailed):
            return self._reauthenticate(error, remaining_s)
        if elsewhere:
            self.tried = (*self.tried, member)
        else:
            self._rounds += 1
            self.tried = ()
        return decide_retry(
            self.retry,
            attempts_made=self.tries,
            # What failed behind a server was tried by it as often as it may: asking the same again
            # would multiply the tries, and only a server that stands elsewhere may come through.
            retryable=error.retryable and (elsewhere or not lies_behind(error)),
            maybe_executed=error.maybe_executed,
            repeatable=self.repeatable,
            pushback_s=pushback_s,
            elsewhere=elsewhere,
            remaining_s=remaining_s,
            rng=rng,
            rounds_made=max(self._rounds, 1),
        )

    def _reauthenticate(self, error: AuthenticationFailed, remaining_s: float) -> RetryDecision:
        if not error.retryable or self._reauthenticated:
            return RetryDecision(False, 0.0, RetryReason.NOT_RETRYABLE)
        if error.maybe_executed and not self.repeatable:
            return RetryDecision(False, 0.0, RetryReason.MAYBE_EXECUTED)
        if remaining_s <= 0.0:
            return RetryDecision(False, 0.0, RetryReason.NO_TIME)
        self._reauthenticated = True
        self._refused_tokens += 1
        return RetryDecision(True, 0.0, RetryReason.REAUTHENTICATE)

    def refused(self, refusal: Refusal, now_s: float) -> RpeError:
        """Return the error of an operation for which no endpoint could be picked."""
        if self.records:
            return self.failed()
        if refusal.reason is RefusalReason.EMPTY:
            return ConfigurationError("the pool is empty", hint="add an endpoint")
        wait_s = None if refusal.retry_at_s is None else max(refusal.retry_at_s - now_s, 0.0)
        when = "" if wait_s is None else f"; the next probe is due in {wait_s:.3f} s"
        return CircuitBreakerOpen(f"the breakers of all endpoints are open{when}", retry_after_s=wait_s)

    def failed(self, *, budget_empty: bool = False) -> RpeError:
        """Return the final error of an operation whose attempts have all failed.

        A single attempt's error is told as it is, and so is one that no retry could mend.
        Several are told together, each with its reason: as a timeout where the last one was
        a timeout, as AllEndpointsFailed otherwise. `budget_empty` says that a retry was due
        and could not be paid, which the reader is told, since the settings would allow it.
        """
        error = self._final_error()
        if budget_empty:
            error.hint = "it was not tried again: so much fails at once that the retry budget is empty"
        return error

    def _final_error(self) -> RpeError:
        last = self.records[-1].error
        if last is None:
            raise AssertionError("a failed attempt has an error")
        summaries = tuple(record.summary(self.started_s) for record in self.records)
        if len(summaries) == 1 or not last.retryable or isinstance(last, AuthenticationFailed):
            last.attempts = summaries
            return last
        maybe_executed = any(
            record.error is not None and record.error.maybe_executed for record in self.records
        )
        final: RpeError
        if isinstance(last, RemoteTimeout):
            final = RemoteTimeout(
                f"no answer within {self.deadline_s - self.started_s:.3f} s, in {len(summaries)} attempts",
                attempts=summaries,
                maybe_executed=maybe_executed,
            )
        else:
            final = AllEndpointsFailed(
                f"{len(summaries)} attempts failed, the last one with: {last.message}",
                attempts=summaries,
                maybe_executed=maybe_executed,
            )
        final.__cause__ = last
        return final


class Execution(Operation[ExecutionResult]):
    """A pipeline to be run once, on `inputs` by node id."""

    __slots__ = ("inputs",)
    kind = "execute"
    inputs: Mapping[str, RuntimeData]

    def send(self, client: PipelineClient, now_s: float, limit_s: float) -> Awaitable[ExecutionResult]:
        """Execute it."""
        pairs = self._metadata if self.identity is None else self.metadata()
        return client.execute(self.manifest, self.inputs, timeout_s=limit_s, metadata=pairs)


class Opening(Operation[ClientStreamSession]):
    """A session to be opened; the deadline is that of the whole session."""

    __slots__ = ()
    kind = "stream"

    def send(self, client: PipelineClient, now_s: float, limit_s: float) -> Awaitable[ClientStreamSession]:
        """Open it, within `limit_s` seconds."""
        return client.open_stream(
            self.manifest,
            timeout_s=self.deadline_s - now_s,
            open_timeout_s=limit_s,
            metadata=self.metadata(),
        )
