"""Tokens that change, on every wire: what is sent, what a refusal leads to, and what nobody may see."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import rpe
from rpe.clock import SYSTEM_CLOCK
from rpe.data import Text
from rpe.errors import AuthenticationFailed, ConfigurationError
from rpe.fakes import FakeServer, Kind
from rpe.telemetry.record import AttemptRecord, Observer
from rpe.transport.credentials import EnvironmentToken, FetchedToken, FileToken, TokenSource
from rpe.transport.registry import get_transport
from tests.support.handlers import Handler
from tests.support.planted import SECRET, told
from tests.support.wire_pairs import ECHO, Pair, Pairs


class Issuer:
    """Gives out what the test says, and counts."""

    def __init__(self, *values: str) -> None:
        self.values = values
        self.fetches = 0
        self.open = asyncio.Event()
        self.open.set()

    async def fetch(self) -> str:
        number = min(self.fetches, len(self.values) - 1)
        self.fetches += 1
        await self.open.wait()
        return self.values[number]

    def source(self) -> FetchedToken:
        return FetchedToken(self.fetch, pause_s=60.0)


class Keeper(Observer):
    """Keeps the records of attempts."""

    def __init__(self) -> None:
        self.attempts: list[AttemptRecord] = []

    def on_attempt(self, record: AttemptRecord) -> None:
        self.attempts.append(record)


@asynccontextmanager
async def reliable(
    wire: str, behaviour: dict[str, Any], token: str | TokenSource
) -> AsyncIterator[tuple[FakeServer, rpe.ReliableClient, Keeper]]:
    keeper = Keeper()
    async with FakeServer("a", wire, behaviour) as fake:
        settings = rpe.ClientSettings(timeout_s=10.0)
        async with rpe.connect(
            [fake.endpoint], transport=wire, token=token, settings=settings, observers=[keeper]
        ) as client:
            yield fake, client, keeper


def codes(keeper: Keeper) -> list[str]:
    return [record.code for record in keeper.attempts]


async def echoed(pair: Pair, text: str) -> None:
    assert await pair.execute(Text(text)) == Text(text)


# --- a refusal and what follows --------------------------------------------------------------------------


async def test_a_refused_token_is_replaced_and_the_call_made_again(wire: str) -> None:
    issuer = Issuer("old", "new")
    async with reliable(wire, {"token": "new"}, issuer.source()) as (fake, client, keeper):
        assert (await client.execute(ECHO, Text("x"))).output == Text("x")
        assert codes(keeper) == ["authentication_failed", "ok"]
        assert issuer.fetches == 2
        assert len(fake.journal.entries(fault="token")) >= 1
        assert (await client.execute(ECHO, Text("y"))).output == Text("y")
        assert len(keeper.attempts) == 3
        assert issuer.fetches == 2


async def test_a_session_is_opened_again_with_another_token(wire: str) -> None:
    issuer = Issuer("old", "new")
    async with reliable(wire, {"token": "new"}, issuer.source()) as (_, client, keeper):
        async with await client.open_stream(ECHO) as session:
            await session.send(Text("x"))
            result = await session.receive()
            assert result is not None and result.output == Text("x")
            await session.finish()
            assert await session.receive() is None
        assert codes(keeper) == ["authentication_failed", "ok"]


async def test_a_second_refusal_is_final(wire: str) -> None:
    issuer = Issuer("one", "two", "three")
    async with reliable(wire, {"token": "right"}, issuer.source()) as (_, client, keeper):
        with pytest.raises(AuthenticationFailed) as caught:
            await client.execute(ECHO, Text("x"), repeatable=True)
        assert codes(keeper) == ["authentication_failed"] * 2
        assert len(caught.value.attempts) == 2
        assert issuer.fetches == 2


async def test_a_fixed_token_is_sent_once(wire: str) -> None:
    async with reliable(wire, {"token": "right"}, "wrong") as (_, client, keeper):
        with pytest.raises(AuthenticationFailed):
            await client.execute(ECHO, Text("x"), repeatable=True)
        assert codes(keeper) == ["authentication_failed"]


async def test_what_is_forbidden_asks_for_no_other_token(wire: str) -> None:
    issuer = Issuer("one", "two")
    script = {"error": {"status": "permission_denied"}}
    async with reliable(wire, script, issuer.source()) as (_, client, keeper):
        with pytest.raises(AuthenticationFailed):
            await client.execute(ECHO, Text("x"))
        assert codes(keeper) == ["authentication_failed"]
        assert issuer.fetches == 1


async def test_many_calls_at_once_cost_one_fetch_and_after_a_refusal_one_more(pairs: Pairs) -> None:
    issuer = Issuer("first", "second")
    issuer.open.clear()
    pair = await pairs({"token": "first"}, token=issuer.source())
    async with asyncio.TaskGroup() as group:
        for number in range(10):
            group.create_task(echoed(pair, str(number)))
        await asyncio.sleep(0.01)
        issuer.open.set()
    assert issuer.fetches == 1
    await pair.fake.set_behaviour({"token": "second"})
    results = await asyncio.gather(*(pair.execute(Text("x")) for _ in range(10)), return_exceptions=True)
    errors = [error for error in results if isinstance(error, AuthenticationFailed)]
    assert len(errors) == 10 and all(error.retryable and not error.maybe_executed for error in errors)
    async with asyncio.TaskGroup() as group:
        for number in range(10):
            group.create_task(echoed(pair, str(number)))
    assert issuer.fetches == 2


async def test_a_file_that_is_renewed_needs_no_restart(pairs: Pairs, tmp_path: Path) -> None:
    path, new = tmp_path / "token", tmp_path / "new"
    path.write_text("one\n")
    pair = await pairs({"token": "one"}, token=FileToken(path))
    await echoed(pair, "x")
    await pair.fake.set_behaviour({"token": "two"})
    with pytest.raises(AuthenticationFailed) as caught:
        await pair.execute(Text("x"))
    assert not caught.value.retryable, "the file is still the old one"
    new.write_text("two\n")
    new.replace(path)
    try:
        await echoed(pair, "y")
    except AuthenticationFailed as error:
        # Over a connection that was made with the old token, only a refusal can tell.
        assert pair.wire == "webrtc" and error.retryable
        await echoed(pair, "y")


async def test_a_variable_may_be_the_source(pairs: Pairs, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = await pairs({"token": "one"}, token=EnvironmentToken("RPE_TEST_TOKEN"))
    with pytest.raises(ConfigurationError, match="RPE_TEST_TOKEN is not set") as caught:
        await pair.execute(Text("x"))
    assert caught.value.endpoint == pair.client.endpoint
    monkeypatch.setenv("RPE_TEST_TOKEN", "one")
    await echoed(pair, "x")


async def test_health_and_version_are_asked_with_the_token_of_now(wire: str) -> None:
    handler = Handler()
    server = get_transport(wire).create_server(handler, {})
    issuer = Issuer("one")
    async with server:
        client = get_transport(wire).create_client(server.endpoint, {"token": issuer.source()})
        try:
            assert (await client.check_health(timeout_s=5.0)).status == "serving"
            await client.get_version(timeout_s=5.0)
        finally:
            await client.close()
    assert issuer.fetches == 1


# --- in the middle of a session --------------------------------------------------------------------------


async def one(session: Any, sequence: int) -> None:
    await session.send(Text(str(sequence)), node_id="node", sequence=sequence)
    result = await session.receive()
    assert result is not None and result.sequence == sequence


async def rotated(pair: Pair, session: Any) -> AuthenticationFailed:
    """Let a session go on after its token has become a wrong one, and return its error."""
    await pair.fake.set_behaviour({"token": "new", "recheck_token": True})
    with pytest.raises(AuthenticationFailed) as caught:
        for sequence in range(2, 50):
            await one(session, sequence)
    with pytest.raises(AuthenticationFailed):
        await session.receive()
    return caught.value


async def test_a_token_that_expires_in_a_session_ends_it_and_another_one_opens_the_next(pairs: Pairs) -> None:
    issuer = Issuer("old", "new")
    pair = await pairs({"token": "old", "recheck_token": True}, token=issuer.source())
    session = await pair.open()
    for sequence in (0, 1):
        await one(session, sequence)
    error = await rotated(pair, session)
    assert error.retryable
    assert error.maybe_executed
    assert len(pair.fake.journal.entries(fault="token")) == 1
    session = await pair.open()
    await one(session, 0)
    session.cancel()
    assert issuer.fetches == 2


async def test_with_a_fixed_token_there_is_no_way_on(pairs: Pairs) -> None:
    pair = await pairs({"token": "old"}, token="old")
    session = await pair.open()
    await one(session, 0)
    assert not (await rotated(pair, session)).retryable


async def test_without_the_recheck_whoever_was_let_in_stays_in(pairs: Pairs) -> None:
    pair = await pairs({"token": "old", "recheck_token": True}, token="old")
    session = await pair.open()
    await one(session, 0)
    await pair.fake.set_behaviour({"token": "new"})
    for sequence in range(1, 5):
        await one(session, sequence)
    session.cancel()


async def test_a_stream_goes_on_over_a_change_of_token(wire: str) -> None:
    """A session that moves is opened again with the new token: no chunk is lost and none is doubled."""
    issuer = Issuer("old", "new", "newer")
    script = {"token": "old", "recheck_token": True}
    async with reliable(wire, script, FetchedToken(issuer.fetch, pause_s=0.0)) as (fake, client, _):
        async with await client.open_stream(ECHO, repeatable=True) as session:
            got: list[str] = []
            for number in range(12):
                if number in (4, 8):
                    token = "new" if number == 4 else "newer"
                    await fake.set_behaviour({"token": token, "recheck_token": True})
                await session.send(Text(str(number)))
                result = await session.receive()
                assert result is not None and isinstance(result.output, Text)
                got.append(result.output.text)
            await session.finish()
            assert await session.receive() is None
        assert got == [str(number) for number in range(12)]
        assert issuer.fetches == 3


# --- cancellation ----------------------------------------------------------------------------------------


async def test_a_cancel_while_a_token_is_fetched_leaves_nothing(pairs: Pairs) -> None:
    issuer = Issuer("one")
    issuer.open.clear()
    pair = await pairs({"token": "one"}, token=issuer.source())
    before = asyncio.all_tasks()
    calls: list[Callable[[], Any]] = [
        lambda: pair.execute(Text("x")),
        lambda: pair.open(),
        lambda: pair.client.check_health(timeout_s=5.0),
    ]
    for call in calls:
        task = asyncio.ensure_future(call())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == before
    assert pair.fake.journal.entries(Kind.RECEIVED) == []
    issuer.open.set()
    await echoed(pair, "x")


async def test_a_token_that_does_not_come_in_time_blames_no_endpoint(pairs: Pairs) -> None:
    issuer = Issuer("one")
    issuer.open.clear()
    pair = await pairs({"token": "one"}, token=issuer.source())
    began_s = SYSTEM_CLOCK.now()
    with pytest.raises(AuthenticationFailed, match="longer than") as caught:
        await pair.execute(Text("x"), timeout_s=0.05)
    assert not caught.value.retryable and not caught.value.maybe_executed
    with pytest.raises(AuthenticationFailed, match="longer than"):
        await pair.open(timeout_s=10.0, open_timeout_s=0.05)
    assert SYSTEM_CLOCK.now() - began_s < 5.0


# --- who may see it --------------------------------------------------------------------------------------


@pytest.mark.parametrize("endpoint", ["10.255.255.1:50051", "pipelines.example:8080"])
async def test_a_source_is_not_asked_for_a_server_in_clear_text(wire: str, endpoint: str) -> None:
    issuer = Issuer(SECRET)
    with pytest.raises(ConfigurationError, match="clear text"):
        get_transport(wire).create_client(endpoint, {"token": issuer.source()})
    allowed = {"token": issuer.source(), "allow_clear_token": True}
    await get_transport(wire).create_client(endpoint, allowed).close()
    assert issuer.fetches == 0


@pytest.mark.parametrize("value", [7, b"bytes", object()])
def test_a_setting_that_is_no_token_is_refused(wire: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match="token is of type"):
        get_transport(wire).validate_config({"token": value})


async def test_nothing_tells_the_token(
    wire: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="asyncio")
    path = tmp_path / "token"
    path.write_text(SECRET)
    for token in (SECRET, FileToken(path), Issuer(SECRET, SECRET).source()):
        async with reliable(wire, {"token": "right"}, token) as (fake, client, keeper):
            with pytest.raises(AuthenticationFailed) as caught:
                await client.execute(ECHO, Text("x"))
            shown = told(caught.value) + repr(client) + str(client.statistics()) + repr(keeper.attempts)
            shown += "".join(repr(entry) for entry in fake.journal.entries())
            assert SECRET not in shown
            await fake.set_behaviour({"token": SECRET})
            assert (await client.execute(ECHO, Text("x"))).output == Text("x")
            assert SECRET not in "".join(repr(entry) for entry in fake.journal.entries())
    unused = get_transport(wire).create_client("127.0.0.1:1", {"token": SECRET})
    assert SECRET not in repr(unused) + str(unused) + repr(vars(unused))
    await unused.close()
    out, err = capfd.readouterr()
    logged = "".join(
        record.getMessage() + repr(record.exc_info)
        for record in caplog.records
        if record.name != "aioice.ice"
    )
    assert SECRET not in out + err + logged


async def test_each_server_sees_its_own_token_alone(wire: str) -> None:
    """Two organisations in one program: what one hop is let in by is never shown to the other."""
    first, second = Handler(), Handler()
    sources = {"a": Issuer("token-of-a").source(), "b": Issuer("token-of-b").source()}
    plugin = get_transport(wire)
    async with plugin.create_server(first, {}) as a, plugin.create_server(second, {}) as b:
        clients = [
            rpe.connect([a.endpoint], transport=wire, token=sources["a"]),
            rpe.connect([b.endpoint], transport=wire, token=sources["b"]),
        ]
        for client in clients:
            async with client:
                assert (await client.execute(ECHO, Text("x"))).output == Text("x")
                async with await client.open_stream(ECHO) as session:
                    await session.send(Text("y"))
                    assert await session.receive() is not None
    for handler, own in ((first, "token-of-a"), (second, "token-of-b")):
        seen = [call.metadata["authorization"] for call in handler.calls if call.method != "connect"]
        assert len(seen) == 2
        assert set(seen) == {f"Bearer {own}"}
        everything = repr([dict(call.metadata) for call in handler.calls])
        other = "token-of-b" if own == "token-of-a" else "token-of-a"
        assert other not in everything
