from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

import rpe
from rpe.client.classify import lies_behind, operation_outcome, outcome_of
from rpe.client.settings import ClientSettings
from rpe.errors import Downstream, ErrorKind, HopLimitExceeded, RemoteExecutionFailed, RpeError
from rpe.policy.backoff import BackoffSettings
from rpe.policy.outcome import OperationOutcome, Outcome
from rpe.policy.retry import RetrySettings
from rpe.transport.downstream import write_context
from rpe.transport.serving import ApplicationError, ErrorType
from tests.support.handlers import Handler, serve

FAR = Downstream(ErrorKind.NETWORK, "connect_failed", 2, "call_c", "10.0.0.3:1", True, False)
BEHIND = ApplicationError(ErrorType.NODE_EXECUTION, "hop 2: down", "call_c", write_context(FAR))
OWN = ApplicationError(ErrorType.NODE_EXECUTION, "broke", "n")
ECHO = rpe.Manifest.single("echo", node_type="Echo")


@pytest.mark.parametrize(
    ("error", "outcome", "behind"),
    [
        (RemoteExecutionFailed("broke", error_type="node_execution"), Outcome.FAILURE, False),
        (RemoteExecutionFailed("far", error_type="node_execution", downstream=FAR), Outcome.NEUTRAL, True),
        (RemoteExecutionFailed("full", error_type="resource_limit"), Outcome.NEUTRAL, False),
        (HopLimitExceeded("too far", hops=11), Outcome.NEUTRAL, False),
    ],
)
def test_an_endpoint_is_blamed_for_what_it_did_itself(
    error: RpeError, outcome: Outcome, behind: bool
) -> None:
    assert (outcome_of(error), lies_behind(error)) == (outcome, behind)


def test_what_may_have_been_executed_is_taken_from_afar() -> None:
    for maybe, outcome in ((False, OperationOutcome.FAILED), (True, OperationOutcome.MAYBE)):
        error = RemoteExecutionFailed("far", downstream=FAR, maybe_executed=maybe)
        assert operation_outcome(error) is outcome


async def attempt(*replies: ApplicationError | None, repeatable: bool = False) -> tuple[object, list[int]]:
    """One operation at servers that reply so (None: well), in this order; its end, and the calls of each."""
    retry = RetrySettings(backoff=BackoffSettings(initial_s=0.001, max_s=0.002))
    async with AsyncExitStack() as stack:
        handlers = [Handler(reply) for reply in replies]
        servers = [await stack.enter_async_context(serve(handler)) for handler in handlers]
        client = await stack.enter_async_context(
            rpe.connect([server.endpoint for server in servers], settings=ClientSettings(retry=retry))
        )
        try:
            result = await client.execute(ECHO, rpe.Text("a"), timeout_s=5, repeatable=repeatable)
            end: object = result.output
        except RpeError as error:
            end = error
        failures = [client.statistics().endpoints[server.endpoint].failures for server in servers]
        assert failures == [0] * len(servers) or OWN in replies
        return end, [len(handler.calls) for handler in handlers]


async def test_what_lies_behind_a_server_is_tried_through_another_one_and_never_again_through_it() -> None:
    end, calls = await attempt(BEHIND, None)
    assert end == rpe.Text("a") and calls in ([1, 1], [0, 1])
    end, calls = await attempt(BEHIND)
    assert isinstance(end, RemoteExecutionFailed) and end.downstream == FAR and calls == [1]
    end, calls = await attempt(BEHIND, BEHIND, repeatable=True)
    assert isinstance(end, RpeError) and "hop 2: down" in end.message and calls == [1, 1]


async def test_what_a_server_failed_at_itself_is_tried_again_there_too() -> None:
    end, calls = await attempt(OWN, repeatable=True)
    assert isinstance(end, RpeError) and calls == [4]
