"""Tokens that are fetched: how often, by whom, and what happens where it fails."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from rpe.clock import SYSTEM_CLOCK
from rpe.errors import AuthenticationFailed, ConfigurationError, RpeError
from rpe.transport.credentials import FetchedToken, Token
from tests.support.planted import SECRET, told


class HandClock:
    """Real deadlines, and time that a test turns on by hand."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def now(self) -> float:
        return SYSTEM_CLOCK.now() + self.ahead_s

    async def sleep(self, delay_s: float) -> None:
        raise AssertionError("a source of tokens never sleeps")

    sleep_until = sleep

    def deadline(self, when_s: float | None) -> AbstractAsyncContextManager[object]:
        return SYSTEM_CLOCK.deadline(None if when_s is None else when_s - self.ahead_s)


class Issuer:
    """Gives out tokens by number, when it may."""

    def __init__(self, life_s: float | None = None) -> None:
        self.life_s = life_s
        self.fetches = 0
        self.error: BaseException | None = None
        self.open = asyncio.Event()
        self.open.set()
        self.cancelled = 0

    async def fetch(self) -> str | Token:
        self.fetches += 1
        number = self.fetches
        try:
            await asyncio.sleep(0)
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        value = f"token-{number}"
        return value if self.life_s is None else Token(value, self.life_s)


def source_of(issuer: Issuer, clock: HandClock | None = None, **settings: Any) -> FetchedToken:
    return FetchedToken(issuer.fetch, clock=clock or HandClock(), **settings)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


# --- one fetch -------------------------------------------------------------------------------------------


async def test_a_text_is_kept_for_ever() -> None:
    issuer, clock = Issuer(), HandClock()
    source = source_of(issuer, clock)
    assert await source.token() == "token-1"
    clock.ahead_s += 1e9
    assert await source.token() == "token-1"
    assert issuer.fetches == 1


async def test_many_who_wait_cost_one_fetch() -> None:
    issuer = Issuer()
    issuer.open.clear()
    source = source_of(issuer)
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(source.token()) for _ in range(100)]
        await settle()
        issuer.open.set()
    assert {task.result() for task in waiting} == {"token-1"}
    assert issuer.fetches == 1


async def test_one_that_is_cancelled_takes_nobody_along() -> None:
    issuer = Issuer()
    issuer.open.clear()
    source = source_of(issuer)
    before = asyncio.all_tasks()
    fetching = asyncio.create_task(source.token())
    await settle()
    waiting = [asyncio.create_task(source.token()) for _ in range(5)]
    await settle()
    fetching.cancel()
    waiting[2].cancel()
    await settle()
    assert fetching.cancelled()
    assert issuer.cancelled == 1
    issuer.open.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for i, result in enumerate(results) if i == 2] == [asyncio.CancelledError]
    assert {result for i, result in enumerate(results) if i != 2} == {"token-2"}
    assert issuer.fetches == 2
    assert asyncio.all_tasks() == before


async def test_a_lone_cancel_leaves_nothing() -> None:
    issuer = Issuer()
    issuer.open.clear()
    source = source_of(issuer)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await source.token()
    assert issuer.cancelled == 1
    assert asyncio.all_tasks() == {asyncio.current_task()}
    issuer.open.set()
    assert await source.token() == "token-2"


# --- before it expires -----------------------------------------------------------------------------------


async def test_it_is_replaced_before_it_expires_by_one_while_the_others_go_on() -> None:
    issuer, clock = Issuer(life_s=100.0), HandClock()
    source = source_of(issuer, clock, refresh_before_s=30.0)
    assert await source.token() == "token-1"
    clock.ahead_s += 65.0
    assert await source.token() == "token-1"
    clock.ahead_s += 10.0
    issuer.open.clear()
    refreshing = asyncio.create_task(source.token())
    await settle()
    assert issuer.fetches == 2
    async with asyncio.timeout(1.0):
        assert [await source.token() for _ in range(5)] == ["token-1"] * 5
    issuer.open.set()
    assert await refreshing == "token-2"
    assert await source.token() == "token-2"
    assert issuer.fetches == 2


async def test_a_short_life_is_replaced_at_its_half() -> None:
    issuer, clock = Issuer(life_s=20.0), HandClock()
    source = source_of(issuer, clock, refresh_before_s=30.0)
    assert [await source.token() for _ in range(3)] == ["token-1"] * 3
    clock.ahead_s += 11.0
    assert await source.token() == "token-2"


async def test_a_refresh_that_fails_keeps_the_old_one_and_is_tried_again_after_a_pause() -> None:
    issuer, clock = Issuer(life_s=100.0), HandClock()
    source = source_of(issuer, clock, refresh_before_s=30.0, pause_s=5.0)
    await source.token()
    clock.ahead_s += 75.0
    issuer.error = ValueError("down")
    assert [await source.token() for _ in range(10)] == ["token-1"] * 10
    assert issuer.fetches == 2
    clock.ahead_s += 6.0
    issuer.error = None
    assert await source.token() == "token-3"


async def test_a_refresh_that_hangs_costs_one_call() -> None:
    issuer, clock = Issuer(life_s=100.0), HandClock()
    source = source_of(issuer, clock, refresh_before_s=30.0, pause_s=5.0)
    await source.token()
    clock.ahead_s += 75.0
    issuer.open.clear()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await source.token()
    async with asyncio.timeout(1.0):
        assert await source.token() == "token-1"
    assert issuer.fetches == 2


async def test_an_expired_one_is_never_given_out() -> None:
    issuer, clock = Issuer(life_s=100.0), HandClock()
    source = source_of(issuer, clock)
    await source.token()
    clock.ahead_s += 101.0
    issuer.error = ValueError("down")
    with pytest.raises(AuthenticationFailed):
        await source.token()


# --- where it fails --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError(SECRET), "ValueError"),
        (TimeoutError(SECRET), "TimeoutError"),
        (AuthenticationFailed("the token service said 503"), "the token service said 503"),
    ],
)
async def test_a_failure_says_what_happened_and_no_secret(error: Exception, words: str) -> None:
    issuer = Issuer()
    issuer.error = error
    with pytest.raises(AuthenticationFailed, match=words) as caught:
        await source_of(issuer).token()
    assert not caught.value.retryable
    assert not caught.value.maybe_executed
    assert SECRET not in told(caught.value)


async def test_those_who_waited_share_the_failure_and_the_next_fetch_has_a_pause() -> None:
    issuer, clock = Issuer(), HandClock()
    issuer.error = ValueError("down")
    source = source_of(issuer, clock, pause_s=5.0)
    results = await asyncio.gather(*(source.token() for _ in range(20)), return_exceptions=True)
    assert {type(result) for result in results} == {AuthenticationFailed}
    assert len({id(result) for result in results}) == 20, "each caller gets an error of its own"
    assert issuer.fetches == 1
    issuer.error = None
    with pytest.raises(AuthenticationFailed):
        await source.token()
    clock.ahead_s += 6.0
    assert await source.token() == "token-2"


async def test_a_fetch_that_takes_too_long_is_given_up() -> None:
    issuer = Issuer()
    issuer.open.clear()
    with pytest.raises(AuthenticationFailed, match=r"longer than 0.01 s"):
        await source_of(issuer, timeout_s=0.01).token()
    assert issuer.cancelled == 1


@pytest.mark.parametrize(
    "given", [None, 7, "", f"{SECRET} x", Token("", 1.0), Token(SECRET, 0.0), Token(SECRET, float("nan"))]
)
async def test_what_is_no_token_is_a_failure(given: Any) -> None:
    async def fetch() -> Any:
        return given

    with pytest.raises(AuthenticationFailed) as caught:
        await FetchedToken(fetch).token()
    assert SECRET not in told(caught.value)


def test_wrong_settings() -> None:
    issuer: Any = Issuer.fetch
    wrong: list[dict[str, Any]] = [{"refresh_before_s": -1.0}, {"timeout_s": 0.0}, {"pause_s": float("nan")}]
    for settings in wrong:
        with pytest.raises(ConfigurationError, match=next(iter(settings))):
            FetchedToken(issuer, **settings)
    no_function: Any = "token"
    with pytest.raises(ConfigurationError):
        FetchedToken(no_function)


# --- once it was refused ---------------------------------------------------------------------------------


async def test_a_refused_one_is_replaced_once_for_all() -> None:
    issuer = Issuer()
    source = source_of(issuer)
    old = await source.token()
    assert all(source.refused(old) for _ in range(10))
    assert {await source.token() for _ in range(10)} == {"token-2"}
    assert source.refused(old), "a late refusal of the old one: there is another already"
    assert await source.token() == "token-2"
    assert issuer.fetches == 2


async def test_a_server_that_takes_no_token_at_all_does_not_make_every_call_a_fetch() -> None:
    issuer, clock = Issuer(), HandClock()
    source = source_of(issuer, clock, pause_s=5.0)
    for _ in range(50):
        source.refused(await source.token())
    assert issuer.fetches == 2
    clock.ahead_s += 6.0
    assert source.refused("token-2")
    assert await source.token() == "token-3"


async def test_nothing_shows_the_token() -> None:
    async def fetch() -> Token:
        return Token(SECRET, 60.0)

    source = FetchedToken(fetch)
    assert await source.token() == SECRET
    assert SECRET not in repr(source) + str(source) + repr(await fetch())


async def test_the_errors_are_ours() -> None:
    issuer = Issuer()
    issuer.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        await source_of(issuer).token()
    issuer.error = RuntimeError()
    with pytest.raises(RpeError):
        await source_of(issuer).token()
