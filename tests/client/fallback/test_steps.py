"""The steps that execute: a function of this process, and a pool of endpoints."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from rpe.client.fallback import LONE_INPUT, FallbackChain, FunctionStep, PoolStep, StepCall
from rpe.client.settings import ClientSettings
from rpe.data import RuntimeData, Text
from rpe.errors import (
    AllEndpointsFailed,
    ConfigurationError,
    ConnectionLost,
    RemoteExecutionFailed,
    RemoteTimeout,
)
from rpe.manifest.model import Manifest
from rpe.policy import HealthSettings, RetrySettings
from tests.support.scripted import MANIFEST, Stage, Step, failing, ok, refused, stage

QUIET = ClientSettings(health=HealthSettings(enabled=False))


def call(**options: Any) -> StepCall:
    return StepCall(**{"inputs": {LONE_INPUT: Text("hello")}, "timeout_s": 1.0, **options})


def test_a_call_tells_no_secret_that_travels_beside_it() -> None:
    assert "s3cret" not in repr(call(metadata=(("authorization", "Bearer s3cret"),)))


# --- a function of this process -----------------------------------------------------------------------------


async def test_a_function_answers() -> None:
    async def shout(inputs: Mapping[str, RuntimeData]) -> Mapping[str, RuntimeData]:
        data = inputs[LONE_INPUT]
        assert isinstance(data, Text)
        return {"output": Text(data.text.upper())}

    result = await FunctionStep("local", shout).execute(call())
    assert result.output == Text("HELLO")


async def test_a_function_is_cancelled_when_its_time_is_up() -> None:
    cancelled = asyncio.Event()

    async def slow(inputs: Mapping[str, RuntimeData]) -> Mapping[str, RuntimeData]:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        raise AssertionError

    with pytest.raises(RemoteTimeout, match=r"longer than 0\.020 s") as caught:
        await FunctionStep("local", slow).execute(call(timeout_s=0.02))
    assert cancelled.is_set()
    assert caught.value.maybe_executed


@pytest.mark.parametrize("error", [ValueError("token=s3cret is odd"), TimeoutError("its own")])
async def test_what_a_function_raises_is_an_error_of_rpe_and_tells_no_secret(error: Exception) -> None:
    async def broken(inputs: Mapping[str, RuntimeData]) -> Mapping[str, RuntimeData]:
        raise error

    with pytest.raises(RemoteExecutionFailed, match=type(error).__name__) as caught:
        await FunctionStep("local", broken).execute(call())
    assert (caught.value.node, caught.value.__cause__) == ("local", error)
    assert "s3cret" not in str(caught.value)


async def test_an_error_of_rpe_goes_through_as_it_is() -> None:
    error = ConnectionLost("cut")

    async def broken(inputs: Mapping[str, RuntimeData]) -> Mapping[str, RuntimeData]:
        raise error

    with pytest.raises(ConnectionLost) as caught:
        await FunctionStep("local", broken).execute(call())
    assert caught.value is error


@pytest.mark.parametrize("outputs", [None, {"output": "text"}, 7])
async def test_outputs_that_are_none_are_the_functions_failure(outputs: Any) -> None:
    async def odd(inputs: Mapping[str, RuntimeData]) -> Mapping[str, RuntimeData]:
        return outputs  # type: ignore[no-any-return]

    with pytest.raises(RemoteExecutionFailed):
        await FunctionStep("local", odd).execute(call())


# --- a pool of endpoints ------------------------------------------------------------------------------------


def pool(s: Stage, manifest: Manifest = MANIFEST) -> PoolStep:
    return PoolStep("pool", s.client, manifest)


async def test_a_pool_is_asked_with_what_the_call_says() -> None:
    async with stage({"a": ok}, QUIET) as s:
        result = await pool(s).execute(call(operation_id="op-1", metadata=(("x-tenant", "t"),)))
        assert result.output == Text("hello")
        [seen] = s.calls
        assert seen.timeout_s == 1.0
        assert dict(seen.metadata) == {"rpe-operation-id": "op-1", "rpe-attempt": "1", "x-tenant": "t"}


async def test_a_lone_input_goes_to_the_entry_node_whatever_it_is_called() -> None:
    async with stage({"a": ok}, QUIET) as s:
        inputs = {LONE_INPUT: Text("x")}
        step = pool(s, Manifest.single("stt", node_type="Echo"))
        assert step._inputs(inputs) == {"stt": Text("x")}
        assert pool(s, Manifest.single(LONE_INPUT, node_type="Echo"))._inputs(inputs) == inputs
        assert step._inputs({"tts": Text("x")}) == {"tts": Text("x")}


@pytest.mark.parametrize(
    ("asked", "own", "followed", "attempts"),
    [
        (5, 3, False, 4),
        (1, 3, False, 2),
        (None, 3, False, 4),
        (5, 3, True, 2),
        (0, 3, True, 1),
        (5, 0, True, 1),
    ],
)
async def test_attempts_are_bounded_by_the_call_by_the_client_and_by_one_round_where_others_follow(
    asked: int | None, own: int, followed: bool, attempts: int
) -> None:
    settings = ClientSettings(health=HealthSettings(enabled=False), retry=RetrySettings(max_retries=own))
    async with stage({"a": failing(refused), "b": failing(refused)}, settings) as s:
        with pytest.raises(AllEndpointsFailed if attempts > 1 else Exception):
            await pool(s).execute(call(max_retries=asked, followed=followed, timeout_s=100.0))
        assert len(s.calls) == attempts
        assert bool(s.clock.slept) is (attempts > 2), "waited although another step follows"


async def test_a_pool_without_endpoints_is_a_reason_for_the_next_step_and_no_mistake() -> None:
    async with stage({"a": ok}, QUIET) as s:
        s.client.remove_endpoint("a")
        with pytest.raises(AllEndpointsFailed, match="the pool is empty") as caught:
            await pool(s).execute(call())
        assert not caught.value.maybe_executed


async def test_a_mistake_in_the_request_stays_one() -> None:
    async with stage({"a": lambda n: Step(ConfigurationError("wrong"))}, QUIET) as s:
        with pytest.raises(ConfigurationError, match="wrong"):
            await pool(s).execute(call())


async def test_a_chain_of_two_pools_and_a_function() -> None:
    async def local(inputs: Mapping[str, RuntimeData]) -> Mapping[str, RuntimeData]:
        return {"output": Text("local")}

    bad: set[str] = set()
    script = {"a": lambda n: Step(refused() if "a" in bad else None)}
    other = {"b": lambda n: Step(refused() if "b" in bad else None)}
    async with stage(script, QUIET) as one, stage(other, QUIET) as two:
        chain = FallbackChain([PoolStep("one", one.client, MANIFEST), PoolStep("two", two.client, MANIFEST),
                               FunctionStep("local", local)])  # fmt: skip
        for down, step in [(set(), "one"), ({"a"}, "two"), ({"a", "b"}, "local")]:
            bad.update(down)
            assert (await chain.execute(Text("hello"), timeout_s=5.0)).step == step


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, float("nan")])
def test_a_step_needs_a_name_and_some_time(timeout_s: float) -> None:
    async def local(inputs: Mapping[str, RuntimeData]) -> Mapping[str, RuntimeData]:
        return {}

    with pytest.raises(ConfigurationError, match="name"):
        FunctionStep("", local)
    with pytest.raises(ConfigurationError, match="timeout_s of step 'local'"):
        FunctionStep("local", local, timeout_s=timeout_s)
