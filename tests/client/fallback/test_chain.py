"""The chain over scripted steps: who answers, after whom, and what is told of it."""

from __future__ import annotations

from functools import partial

import pytest

from rpe.client.fallback import AllStepsFailed
from rpe.data import Text
from rpe.errors import (
    AllEndpointsFailed,
    AuthenticationFailed,
    CircuitBreakerOpen,
    ConfigurationError,
    DataValidationError,
    HopLimitExceeded,
    InvalidRequest,
    ManifestInvalid,
    ProtocolViolation,
    RemoteExecutionFailed,
    RemoteOverloaded,
    RpeError,
    SessionClosed,
)
from tests.client.fallback.scripted_steps import Bench, attempted, lost, refused


async def test_the_first_step_answers_while_it_can() -> None:
    bench = Bench(3, cached_s=60.0)
    outcome = await bench.execute()
    assert (outcome.step, outcome.age_s, outcome.failures) == ("a", None, ())
    assert outcome.result.output == Text("a 0")
    assert bench.calls() == {"a": 1, "b": 0, "c": 0}


async def test_primary_secondary_local_kept_answer_error() -> None:
    bench = Bench(3, cached_s=60.0)
    await bench.execute()
    for failing, step in [(["a"], "b"), (["a", "b"], "c"), (["a", "b", "c"], "cached")]:
        bench.fail(*failing)
        outcome = await bench.execute()
        assert outcome.step == step
        assert [failure.step for failure in outcome.failures] == failing
    assert outcome.result.output == Text("c 0")
    assert outcome.age_s == pytest.approx(0.03)
    bench.clock.time_s += 61.0
    with pytest.raises(AllStepsFailed) as caught:
        await bench.execute()
    assert [failure.step for failure in caught.value.steps] == ["a", "b", "c", "cached"]


async def test_the_error_tells_every_step_its_reason_and_all_attempts() -> None:
    bench = Bench(2)
    bench.steps[0].fails = lambda number: refused(2)
    bench.steps[1].fails = lambda number: AuthenticationFailed("the token was refused", endpoint="s:1")
    with pytest.raises(AllStepsFailed) as caught:
        await bench.execute()
    error = caught.value
    assert isinstance(error, AllEndpointsFailed)
    assert [(attempt.number, attempt.endpoint) for attempt in error.attempts] == [(1, "e:1"), (2, "e:1")]
    assert error.__cause__ is error.steps[-1].error
    text = str(error)
    for part in (
        "[all_steps_failed] none of 2 steps gave an answer",
        "step a: connect_failed: no connection: refused (e:1)",
        "step b: authentication_failed: the token was refused (s:1)",
        "#2 e:1 at +0.010s",
        "hint: ",
    ):
        assert part in text


async def test_attempts_of_later_steps_are_counted_from_the_start_of_the_operation() -> None:
    bench = Bench(2)
    bench.steps[0].takes_s = 1.0
    bench.fail("a", "b")
    with pytest.raises(AllStepsFailed) as caught:
        await bench.execute()
    assert [attempt.number for attempt in caught.value.attempts] == [1, 2]
    assert [attempt.offset_s for attempt in caught.value.attempts] == pytest.approx([0.0, 1.0])


@pytest.mark.parametrize(
    ("one", "other", "retryable", "maybe"),
    [
        (refused, refused, True, False),
        (refused, lost, True, True),
        (lost, refused, True, True),
        (
            lambda: AuthenticationFailed("no"),
            lambda: AllEndpointsFailed("x", maybe_executed=False),
            False,
            False,
        ),
    ],
)
async def test_the_error_may_be_retried_where_one_of_them_may_and_may_be_done_where_one_may(
    one: object, other: object, retryable: bool, maybe: bool
) -> None:
    bench = Bench(2)
    bench.steps[0].fails = lambda number: one()  # type: ignore[operator]
    bench.steps[1].fails = lambda number: other()  # type: ignore[operator]
    with pytest.raises(AllStepsFailed) as caught:
        await bench.execute()
    assert (caught.value.retryable, caught.value.maybe_executed) == (retryable, maybe)


# --- what falls through a step, and what does not ----------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        DataValidationError("not audio"),
        InvalidRequest("no such node"),
        ConfigurationError("a setting is wrong"),
    ],
    ids=lambda error: error.code,
)
async def test_the_callers_own_mistake_is_raised_at_once_and_blames_nobody(error: RpeError) -> None:
    bench = Bench(2, cached_s=60.0)
    await bench.execute()
    bench.steps[0].fails = lambda number: error
    for _ in range(5):
        with pytest.raises(type(error)) as caught:
            await bench.execute()
        assert caught.value is error
    assert bench.calls()["b"] == 0
    assert bench.chain.statistics().steps["a"].falls == 0


@pytest.mark.parametrize(
    ("error", "goes_down"),
    [
        (refused(), True),
        (lost(), True),
        (CircuitBreakerOpen("open"), True),
        (RemoteExecutionFailed("node stt failed"), True),
        (RemoteExecutionFailed("other version", error_type="version_mismatch"), True),
        (ProtocolViolation("garbage"), True),
        (AuthenticationFailed("token refused"), True),
        (ManifestInvalid("cycle"), True),
        (SessionClosed("the client is closed"), True),
        (RemoteExecutionFailed("too large", error_type="resource_limit"), False),
        (HopLimitExceeded("11 hops"), False),
        (RemoteOverloaded("busy"), False),
        (attempted(AllEndpointsFailed("3 attempts failed"), 3, "throttle"), False),
    ],
    ids=lambda value: value.code if isinstance(value, RpeError) else str(value),
)
async def test_what_concerns_one_step_goes_on_to_the_next(error: RpeError, goes_down: bool) -> None:
    bench = Bench(2)
    bench.steps[0].fails = lambda number: error
    for _ in range(5):
        outcome = await bench.execute()
        assert outcome.step == "b"
    assert bench.state("a") == ("down" if goes_down else "up")
    assert bench.calls()["a"] == (3 if goes_down else 5)


async def test_an_error_that_is_none_of_ours_is_let_through_and_frees_the_probe() -> None:
    bench = Bench(2)
    bench.fail("a")
    for _ in range(3):
        await bench.execute()
    bench.clock.time_s += 5.0

    def broken(number: int) -> RpeError:
        raise ZeroDivisionError("odd")

    bench.steps[0].fails = broken
    with pytest.raises(ZeroDivisionError):
        await bench.execute()
    bench.fail()
    assert (await bench.execute()).step == "a"


# --- nothing is done twice ----------------------------------------------------------------------------------


async def test_what_may_have_been_done_is_not_done_at_another_step_unless_it_is_repeatable() -> None:
    bench = Bench(3)
    bench.steps[0].fails = lambda number: lost()
    with pytest.raises(AllStepsFailed) as caught:
        await bench.execute(repeatable=False)
    assert bench.calls() == {"a": 1, "b": 0, "c": 0}
    assert caught.value.maybe_executed
    assert "after step 'a' it may have been done, and it is not repeatable" in str(caught.value)
    assert (await bench.execute(repeatable=True)).step == "b"


async def test_what_was_certainly_not_done_goes_on_although_it_is_not_repeatable() -> None:
    bench = Bench(3)
    bench.steps[0].fails = lambda number: refused()
    bench.steps[1].fails = lambda number: lost()
    with pytest.raises(AllStepsFailed) as caught:
        await bench.execute(repeatable=False)
    assert bench.calls() == {"a": 1, "b": 1, "c": 0}
    assert [failure.step for failure in caught.value.steps] == ["a", "b"]


async def test_a_kept_answer_may_be_given_after_what_may_have_been_done() -> None:
    bench = Bench(2, cached_s=60.0)
    await bench.execute()
    bench.steps[0].fails = lambda number: lost()
    outcome = await bench.execute(repeatable=False)
    assert outcome.step == "cached"
    assert bench.calls() == {"a": 2, "b": 0}


# --- one deadline, one number of attempts -------------------------------------------------------------------


async def test_a_slow_primary_leaves_half_of_the_time_to_those_behind_it() -> None:
    bench = Bench(3)
    for step in bench.steps:
        step.takes_s = 100.0
    began_s = bench.clock.now()
    with pytest.raises(AllStepsFailed) as caught:
        await bench.execute(timeout_s=8.0)
    assert [step.calls[0].timeout_s for step in bench.steps] == [4.0, 2.0, 2.0]
    assert bench.clock.now() - began_s == 8.0
    assert "its 8.000 s are over" not in str(caught.value), "every step had its turn"


async def test_a_step_with_a_timeout_of_its_own_gets_that_and_never_more_than_is_left() -> None:
    bench = Bench(3, timeouts_s=[1.0, 50.0])
    for step in bench.steps:
        step.takes_s = 100.0
    with pytest.raises(AllStepsFailed) as caught:
        await bench.execute(timeout_s=8.0)
    assert [step.calls[0].timeout_s for step in bench.steps[:2]] == [1.0, 7.0]
    assert bench.calls()["c"] == 0, "it was tried after the deadline"
    assert "its 8.000 s are over" in str(caught.value)


async def test_after_the_deadline_a_kept_answer_may_still_be_given() -> None:
    bench = Bench(1, cached_s=60.0)
    await bench.execute()
    bench.steps[0].takes_s = 100.0
    assert (await bench.execute(timeout_s=2.0)).step == "cached"


async def test_kept_answers_take_no_time_from_the_step_before_them() -> None:
    bench = Bench(1, cached_s=60.0)
    await bench.execute(timeout_s=8.0)
    assert bench.steps[0].calls[0].timeout_s == 8.0
    assert not bench.steps[0].calls[0].followed


async def test_what_is_not_repeatable_is_not_cut_short() -> None:
    bench = Bench(2)
    await bench.execute(timeout_s=8.0, repeatable=False)
    assert bench.steps[0].calls[0].timeout_s == 8.0


def refusing(attempts: int, number: int) -> RpeError:
    return refused(attempts)


@pytest.mark.parametrize(
    ("max_attempts", "each", "retries"),
    [
        (6, [4, 1, 1], [3, 0, 0]),
        (6, [1, 1, 1], [3, 3, 3]),
        (6, [2, 3, 1], [3, 2, 0]),
        (3, [1, 1, 1], [0, 0, 0]),
        (10, [2, 2, 2], [7, 6, 5]),
    ],
)
async def test_attempts_are_a_stated_total_and_one_is_kept_for_each_step_that_follows(
    max_attempts: int, each: list[int], retries: list[int]
) -> None:
    bench = Bench(3, max_attempts=max_attempts)
    for step, count in zip(bench.steps, each, strict=True):
        step.fails = partial(refusing, count)
    with pytest.raises(AllStepsFailed) as caught:
        await bench.execute()
    assert [step.calls[0].max_retries for step in bench.steps] == retries
    assert len(caught.value.attempts) == sum(each) <= max_attempts


async def test_a_step_for_which_no_attempt_is_left_is_not_tried_and_the_error_says_so() -> None:
    bench = Bench(3, max_attempts=2)
    bench.fail("a", "b", "c")
    with pytest.raises(AllStepsFailed) as caught:
        await bench.execute()
    assert bench.calls() == {"a": 1, "b": 1, "c": 0}
    assert "its 2 attempts are used up" in str(caught.value)
