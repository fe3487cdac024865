"""What a client makes of its source of tokens."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rpe.errors import AuthenticationFailed, ConfigurationError, RemoteTimeout
from rpe.transport.credentials import Bearer, FixedToken
from tests.support.planted import SECRET, told


class Source:
    """A source by hand."""

    def __init__(self, value: Any = SECRET) -> None:
        self.value = value
        self.refusals: list[str] = []
        self.other = True
        self.wait = asyncio.Event()
        self.wait.set()

    async def token(self) -> str:
        await self.wait.wait()
        if isinstance(self.value, BaseException):
            raise self.value
        return str(self.value)

    def refused(self, token: str) -> bool:
        self.refusals.append(token)
        return self.other


def test_what_never_changes_is_made_once() -> None:
    for token in (SECRET, FixedToken(SECRET)):
        fixed = Bearer(token, "a:1").fixed
        assert fixed is not None
        assert fixed.pairs == (("authorization", f"Bearer {SECRET}"),)
        assert SECRET not in repr(fixed) + repr(Bearer(token, "a:1"))
    none = Bearer(None, "a:1").fixed
    assert none is not None
    assert none.pairs == ()


async def test_a_source_is_asked_each_time_and_told_of_refusals() -> None:
    source = Source("one")
    bearer = Bearer(source, "a:1")
    assert bearer.fixed is None
    first, left_s = await bearer.ask(5.0)
    assert 4.0 < left_s <= 5.0
    source.value = "two"
    second, _ = await bearer.ask(5.0)
    assert (first.pairs, second.pairs) == (
        (("authorization", "Bearer one"),),
        (("authorization", "Bearer two"),),
    )
    assert first.judge(AuthenticationFailed("no")).retryable
    source.other = False
    assert not second.judge(AuthenticationFailed("no")).retryable
    assert source.refusals == ["one", "two"]


async def test_what_is_no_refusal_of_the_token_is_not_one() -> None:
    source = Source()
    grant, _ = await Bearer(source, "a:1").ask(5.0)
    assert not grant.judge(AuthenticationFailed("allows too little", token_refused=False)).retryable
    assert grant.judge(RemoteTimeout("late")).maybe_executed
    assert source.refusals == []


async def test_a_refusal_in_the_middle_leaves_it_open_what_was_done() -> None:
    grant, _ = await Bearer(Source(), "a:1").ask(5.0)
    assert not grant.judge(AuthenticationFailed("no")).maybe_executed
    assert grant.judge(AuthenticationFailed("no"), begun=True).maybe_executed


@pytest.mark.parametrize(
    ("error", "words"), [(OSError(SECRET), "OSError"), (TimeoutError(SECRET), "TimeoutError")]
)
async def test_a_source_that_fails_is_told_by_its_kind_alone(error: Exception, words: str) -> None:
    with pytest.raises(AuthenticationFailed, match=words) as caught:
        await Bearer(Source(error), "a:1").ask(5.0)
    assert SECRET not in told(caught.value)
    assert caught.value.endpoint == "a:1"


async def test_the_error_of_a_source_names_the_endpoint() -> None:
    with pytest.raises(ConfigurationError, match="no file") as caught:
        await Bearer(Source(ConfigurationError("no file")), "a:1").ask(5.0)
    assert caught.value.endpoint == "a:1"


async def test_a_source_that_is_slow_is_not_waited_for_beyond_the_deadline() -> None:
    source = Source()
    source.wait.clear()
    with pytest.raises(AuthenticationFailed, match=r"longer than 0\.010 s"):
        await Bearer(source, "a:1").ask(0.01)
