"""The retry loop on scripted endpoints and virtual time: where, when, how often, and with what error."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from rpe.client.settings import ClientSettings
from rpe.errors import (
    AllEndpointsFailed,
    AuthenticationFailed,
    ConnectionLost,
    InvalidRequest,
    RemoteExecutionFailed,
    RemoteOverloaded,
    RemoteTimeout,
    RpeError,
)
from rpe.policy.backoff import BackoffSettings
from rpe.policy.breaker import BreakerSettings
from rpe.policy.budget import BudgetSettings
from rpe.policy.health import HealthSettings
from rpe.policy.outcome import OperationOutcome, Outcome
from rpe.policy.retry import RetrySettings
from tests.support.scripted import Step, failing, ok, refused, stage

QUIET = ClientSettings(health=HealthSettings(enabled=False), repeatable=True)


def lost() -> RpeError:
    return ConnectionLost("cut")


async def test_a_refused_connection_is_retried_elsewhere_at_once_though_not_repeatable() -> None:
    async with stage({"a": failing(refused), "b": ok, "c": ok}, replace(QUIET, repeatable=False)) as s:
        for _ in range(30):
            await s.execute()
        assert s.clock.slept == []
        assert s.client.statistics().operations[OperationOutcome.OK] == 30
        assert len(s.endpoints["a"].calls) == 5  # then its breaker opened


async def test_what_may_have_been_executed_is_not_done_twice_unless_the_caller_says_so() -> None:
    async with stage({"a": failing(lost), "b": failing(lost)}, replace(QUIET, repeatable=False)) as s:
        with pytest.raises(ConnectionLost) as caught:
            await s.execute()
        assert len(s.calls) == 1
        assert caught.value.maybe_executed
        assert s.recorder.operations[0].outcome is OperationOutcome.MAYBE
        with pytest.raises(AllEndpointsFailed):
            await s.execute(repeatable=True)
        assert len(s.calls) > 2


async def test_no_endpoint_is_tried_twice_while_another_is_free() -> None:
    async with stage({"a": failing(refused), "b": failing(refused), "c": failing(refused)}, QUIET) as s:
        with pytest.raises(AllEndpointsFailed) as caught:
            await s.execute()
        tried = [attempt.endpoint for attempt in caught.value.attempts]
        assert sorted(tried[:3]) == ["a", "b", "c"]
        assert len(tried) == 4
        # The second round waits for the first backoff, half a second to one and a half.
        assert len(s.clock.slept) == 1
        assert 0.5 <= s.clock.slept[0] <= 1.5


async def test_the_error_lists_every_attempt_with_its_endpoint_and_reason() -> None:
    async with stage({"a": failing(refused), "b": failing(refused)}, QUIET) as s:
        with pytest.raises(AllEndpointsFailed) as caught:
            await s.execute()
        text = str(caught.value)
        assert all(f"#{number} " in text for number in range(1, 5))
        assert "connect_failed: no connection: refused" in text
        assert not caught.value.maybe_executed


async def test_the_attempts_share_one_deadline_and_each_is_sent_what_remains() -> None:
    hang = lambda number: Step(delay_s=1e9)  # noqa: E731
    settings = replace(QUIET, timeout_s=8.0)
    async with stage({"a": hang, "b": hang, "c": hang}, settings) as s:
        began_s = s.clock.now()
        with pytest.raises(RemoteTimeout) as caught:
            await s.execute()
        assert s.clock.now() - began_s <= 8.0 + 1e-6
        assert [call.timeout_s for call in s.calls][:3] == [4.0, 2.0, 1.0]
        assert len(caught.value.attempts) >= 3
        assert caught.value.maybe_executed


async def test_a_set_attempt_timeout_bounds_each_attempt() -> None:
    async with stage(
        {"a": lambda n: Step(delay_s=1e9), "b": ok}, replace(QUIET, timeout_s=10.0, attempt_timeout_s=0.4)
    ) as s:
        for _ in range(4):
            await s.execute()
        assert {call.timeout_s for call in s.endpoints["a"].calls} == {0.4}


async def test_a_sleep_that_does_not_fit_is_not_begun_and_the_real_error_is_told() -> None:
    retry = RetrySettings(backoff=BackoffSettings(initial_s=2.0, jitter=0.0))
    async with stage({"a": failing(refused)}, replace(QUIET, timeout_s=0.5, retry=retry)) as s:
        with pytest.raises(RpeError, match="refused"):
            await s.execute()
        assert s.clock.slept == []


@pytest.mark.parametrize(
    "error",
    [
        InvalidRequest("no such node"),
        AuthenticationFailed("bad token"),
        RemoteExecutionFailed("too big", error_type="resource_limit", retryable=False),
    ],
)
async def test_the_callers_own_mistakes_are_not_retried_and_blame_nobody(error: RpeError) -> None:
    async with stage({"a": lambda n: Step(error), "b": lambda n: Step(error)}, QUIET) as s:
        for _ in range(20):
            with pytest.raises(type(error)):
                await s.execute()
        assert len(s.calls) == 20
        assert {attempt.outcome for attempt in s.recorder.attempts} == {Outcome.NEUTRAL}
        assert s.recorder.breakers == []


async def test_an_overloaded_endpoint_is_left_alone_for_as_long_as_it_asked() -> None:
    def busy() -> RpeError:
        return RemoteOverloaded("busy", retry_after_s=5.0)

    async with stage({"a": failing(busy, first=1), "b": ok}, QUIET) as s:
        until_s = None
        while until_s is None:
            await s.execute()
            if s.endpoints["a"].calls:
                until_s = s.endpoints["a"].calls[0].at_s + 5.0
        while s.clock.now() < until_s - 0.1:
            await s.execute()
            s.clock.time_s += 0.05
        assert len(s.endpoints["a"].calls) == 1
        s.clock.time_s += 1.0
        for _ in range(4):
            await s.execute()
        assert len(s.endpoints["a"].calls) > 1
        assert s.recorder.breakers == []


async def test_a_single_overloaded_endpoint_is_tried_again_no_sooner_than_it_asked() -> None:
    def busy() -> RpeError:
        return RemoteOverloaded("busy", retry_after_s=3.0)

    async with stage({"a": failing(busy, first=1)}, QUIET) as s:
        await s.execute()
        first, second = s.calls
        assert second.at_s - first.at_s >= 3.0


async def test_a_server_that_says_never_again_is_not_tried_again() -> None:
    async with stage({"a": failing(lambda: RemoteOverloaded("no", retry_after_s=-1.0))}, QUIET) as s:
        with pytest.raises(RemoteOverloaded):
            await s.execute()
        assert len(s.calls) == 1


async def test_the_budget_bounds_the_attempts_of_a_total_outage() -> None:
    settings = replace(
        QUIET,
        breaker=BreakerSettings(enabled=False),
        budget=BudgetSettings(ratio=0.1, min_per_s=0.0),
        retry=RetrySettings(backoff=BackoffSettings(initial_s=0.001)),
    )
    async with stage({"a": failing(refused), "b": failing(refused)}, settings) as s:
        for _ in range(500):
            s.clock.time_s += 0.01
            with pytest.raises(RpeError) as caught:
                await s.execute()
        assert len(s.calls) <= 500 * 1.12
        assert "retry budget is empty" in str(caught.value)


async def test_every_attempt_ends_in_exactly_one_record_and_every_operation_too() -> None:
    errors = [refused, lost, lambda: InvalidRequest("x"), lambda: RemoteOverloaded("y")]
    scripts = {name: failing(errors[index], first=7) for index, name in enumerate("abcd")}
    async with stage(scripts, QUIET) as s:
        for _ in range(60):
            try:
                await s.execute()
            except RpeError:
                pass
        assert len(s.recorder.operations) == 60
        assert [(start.operation_id, start.number, start.endpoint) for start in s.recorder.starts] == [
            (record.operation_id, record.number, record.endpoint) for record in s.recorder.attempts
        ]


async def test_cancelling_frees_the_place_and_blames_nobody() -> None:
    async with stage({"a": lambda n: Step(block=True)}, QUIET) as s:
        for _ in range(10):
            task = asyncio.create_task(s.execute())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert s.endpoints["a"].cancelled == 10
        assert {attempt.outcome for attempt in s.recorder.attempts} == {Outcome.NEUTRAL}
        assert s.recorder.breakers == []
        assert {operation.code for operation in s.recorder.operations} == {"cancelled"}


async def test_cancelling_during_the_backoff_makes_no_further_attempt() -> None:
    async with stage({"a": failing(refused)}, QUIET) as s:
        blocked = asyncio.Event()

        async def sleep(delay_s: float) -> None:
            blocked.set()
            await asyncio.Event().wait()

        s.clock.sleep = sleep  # type: ignore[method-assign]
        task = asyncio.create_task(s.execute())
        await blocked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(s.calls) == 1


async def test_the_operation_id_and_the_attempt_number_travel_with_each_attempt() -> None:
    async with stage({"a": failing(refused), "b": failing(refused)}, QUIET) as s:
        with pytest.raises(AllEndpointsFailed):
            await s.execute(operation_id="op-7", metadata=(("x-tenant", "t"),))
        assert [dict(call.metadata) for call in s.calls] == [
            {"rpe-operation-id": "op-7", "rpe-attempt": str(number), "x-tenant": "t"}
            for number in range(1, 5)
        ]


async def test_an_observer_that_raises_costs_its_call_and_no_place_at_the_endpoint() -> None:
    async with stage({"a": ok}, QUIET) as s:

        def explode(start: object) -> None:
            raise ZeroDivisionError("odd")

        s.recorder.on_attempt_start = explode  # type: ignore[method-assign]
        with pytest.raises(ZeroDivisionError):
            await s.execute()
        assert s.client.statistics().in_flight == 0
        assert s.calls == []
        del s.recorder.on_attempt_start
        s.recorder.attempts.clear()
        await s.execute()
