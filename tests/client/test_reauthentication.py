"""An attempt that was refused for its token is made again with another one: once, and at once."""

from __future__ import annotations

import pytest

from rpe.client.settings import ClientSettings
from rpe.errors import AllEndpointsFailed, AuthenticationFailed, ConnectFailed, RpeError
from rpe.policy.breaker import BreakerSettings
from rpe.policy.budget import BudgetSettings
from rpe.policy.health import HealthSettings
from rpe.policy.outcome import Outcome
from rpe.policy.retry import RetrySettings
from tests.support.scripted import MANIFEST, Step, failing, ok, refused, stage


def stale() -> AuthenticationFailed:
    return AuthenticationFailed("the token is stale", retryable=True)


NEVER_OPEN = BreakerSettings(failure_threshold=10_000)
QUIET = HealthSettings(enabled=False)
NO_RETRIES = ClientSettings(retry=RetrySettings(max_retries=0), health=QUIET)


@pytest.mark.parametrize("settings", [ClientSettings(health=QUIET), NO_RETRIES])
async def test_it_is_made_again_at_once_at_the_same_endpoint(settings: ClientSettings) -> None:
    async with stage({"a": failing(stale, first=1)}, settings) as on:
        await on.execute()
        assert len(on.calls) == 2
        assert on.clock.slept == []
        assert [record.outcome for record in on.recorder.attempts] == [Outcome.NEUTRAL, Outcome.SUCCESS]
        assert on.recorder.operations[0].attempts == 2


async def test_a_session_is_opened_again_too() -> None:
    scripts = {"a": failing(stale, first=1)}
    async with stage(scripts, NO_RETRIES) as on, await on.client.open_stream(MANIFEST):
        assert len(on.calls) == 2


async def test_the_second_refusal_is_final_and_told_as_what_it_is() -> None:
    async with stage({"a": failing(stale), "b": failing(stale)}, ClientSettings()) as on:
        with pytest.raises(AuthenticationFailed) as caught:
            await on.execute(repeatable=True)
        assert len(on.calls) == 2
        assert len(caught.value.attempts) == 2


async def test_without_another_token_it_is_not_made_again() -> None:
    async with stage({"a": failing(lambda: AuthenticationFailed("wrong")), "b": ok}, ClientSettings()) as on:
        for _ in range(2):
            try:
                await on.execute()
            except AuthenticationFailed as error:
                assert len(error.attempts) == 1
                break
        else:
            raise AssertionError("the first endpoint was never asked")


async def test_it_needs_nothing_of_the_budget() -> None:
    drained = 0

    def script(number: int) -> Step:
        if not drained:
            return Step(refused())
        return Step(stale()) if number == drained else Step()

    poor = ClientSettings(budget=BudgetSettings(ratio=0.0, min_per_s=0.0), breaker=NEVER_OPEN, health=QUIET)
    async with stage({"a": script}, poor) as on:
        for _ in range(20):
            with pytest.raises(RpeError):
                await on.execute()
        with pytest.raises(RpeError, match="budget is empty"):
            await on.execute()
        drained = len(on.calls)
        await on.execute()
        assert len(on.calls) == drained + 2


async def test_it_is_none_of_the_retries() -> None:
    def stale_then_refused(number: int) -> Step:
        return Step(stale() if number == 0 else refused())

    settings = ClientSettings(retry=RetrySettings(max_retries=2))
    async with stage({"a": stale_then_refused}, settings) as on:
        with pytest.raises(AllEndpointsFailed):
            await on.execute()
        assert len(on.calls) == 1 + 1 + 2
    async with stage({"a": stale_then_refused}, NO_RETRIES) as on:
        with pytest.raises(AllEndpointsFailed) as caught:
            await on.execute()
        assert isinstance(caught.value.__cause__, ConnectFailed)
        assert len(on.calls) == 2


async def test_it_still_ends_with_the_deadline() -> None:
    late = ClientSettings(timeout_s=0.5)
    async with stage({"a": lambda number: Step(stale(), delay_s=0.5)}, late) as on:
        with pytest.raises(AuthenticationFailed):
            await on.execute()
        assert len(on.calls) == 1


async def test_work_that_may_have_been_done_is_not_done_again_unless_it_may_be() -> None:
    def begun() -> AuthenticationFailed:
        return AuthenticationFailed("in the middle", retryable=True, maybe_executed=True)

    async with stage({"a": failing(begun, first=1)}, ClientSettings()) as on:
        with pytest.raises(AuthenticationFailed):
            await on.execute(repeatable=False)
        assert len(on.calls) == 1
    async with stage({"a": failing(begun, first=1)}, ClientSettings()) as on:
        await on.execute(repeatable=True)
        assert len(on.calls) == 2
