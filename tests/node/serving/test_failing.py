from __future__ import annotations

import pytest

from rpe.errors import (
    AllEndpointsFailed,
    AttemptSummary,
    CircuitBreakerOpen,
    ConfigurationError,
    ConnectFailed,
    DataValidationError,
    Downstream,
    ErrorKind,
    HopLimitExceeded,
    ManifestFetchFailed,
    ManifestInvalid,
    RemoteExecutionFailed,
    RemoteTimeout,
    RpeError,
)
from rpe.manifest.model import Manifest
from rpe.node import NodeFailed
from rpe.node.serving.failing import told
from rpe.transport.downstream import read_context
from rpe.transport.serving import ErrorType
from tests.support.served import chain, graph

REMOTE = Manifest.single(
    "far", node_type="RemotePipelineNode", endpoints=["a:1", "b:2"], manifest=chain("Echo").to_dict()
)
BEHIND_TWO = Downstream(ErrorKind.TIMEOUT, "remote_timeout", 4, "deep", "d:4", True, False)


def downstream(cause: BaseException, manifest: Manifest = REMOTE, hops: int = 1) -> Downstream | None:
    return read_context(told(NodeFailed("far", cause), manifest, hops).context)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NodeFailed("n", ValueError("x")), ErrorType.NODE_EXECUTION),
        (NodeFailed("n", TimeoutError()), ErrorType.NODE_EXECUTION),
        (NodeFailed("n", ConfigurationError("x")), ErrorType.NODE_EXECUTION),
        (NodeFailed("n", DataValidationError("takes text, not audio")), ErrorType.VALIDATION),
        (ManifestInvalid("x", problems=["nodes[0]"]), ErrorType.VALIDATION),
        (ConfigurationError("there is no node"), ErrorType.VALIDATION),
    ],
)
def test_what_failed_here_is_told_as_what_it_is(error: RpeError, kind: ErrorType) -> None:
    answer = told(error, REMOTE, 3)
    assert (answer.error_type, answer.context, answer.node_id) == (kind, "", error.node or "")


def test_an_open_breaker_names_those_it_stands_before_and_may_be_tried_through_another_server() -> None:
    found = downstream(CircuitBreakerOpen("open"))
    assert found == Downstream(ErrorKind.NETWORK, "circuit_breaker_open", 2, "far", "a:1, b:2", True, False)


def test_what_may_have_been_done_is_not_tried_through_another_server() -> None:
    found = downstream(RemoteTimeout("late", endpoint="a:1"))
    assert found == Downstream(ErrorKind.TIMEOUT, "remote_timeout", 2, "far", "a:1", False, True)
    manifest = graph({"before": ("Echo", {}), "far": ("Echo", {})}, ("before", "far"))
    found = downstream(ConnectFailed("no", endpoint="a:1"), manifest)
    assert found is not None and (found.retryable, found.maybe_executed) == (True, True)


def test_the_last_one_tried_is_named() -> None:
    attempts = [AttemptSummary(i, f"e:{i}", "failure", "c", "r", 0.0, 0.1) for i in (1, 2)]
    found = downstream(AllEndpointsFailed("2 attempts failed", attempts=attempts))
    assert found is not None and (found.code, found.endpoint) == ("all_endpoints_failed", "e:2")


def test_what_was_told_from_further_away_is_passed_on_also_out_of_several_tries() -> None:
    far = RemoteExecutionFailed("hop 4, node deep: slow", endpoint="a:1", downstream=BEHIND_TWO)
    every = AllEndpointsFailed("2 attempts failed, the last one with: hop 4")
    every.__cause__ = far
    for cause in (far, every):
        answer = told(NodeFailed("far", cause), REMOTE, 1)
        assert read_context(answer.context) == BEHIND_TWO
        assert (answer.message, answer.node_id) == ("hop 4, node deep: slow", "far")


def test_a_manifest_that_cannot_be_fetched_lies_behind_too() -> None:
    error = ManifestFetchFailed("no answer", node="far", endpoint="https://joe:pw12345@m.example/x")
    answer = told(error, REMOTE, 0)
    found = read_context(answer.context)
    assert found is not None and (found.hop, found.endpoint) == (1, "https://m.example/x")
    assert "pw12345" not in answer.message + answer.context


def test_a_chain_that_is_too_long_keeps_its_length_on_the_way_back() -> None:
    answer = told(NodeFailed("far", HopLimitExceeded("too far", hops=11)), REMOTE, 4)
    found = read_context(answer.context)
    assert answer.error_type is ErrorType.VALIDATION
    assert found is not None and (found.code, found.hop) == ("hop_limit_exceeded", 11)


def test_secrets_stay_here() -> None:
    for cause in (
        ValueError("password: hunter2"),
        ConnectFailed("with Bearer hunter2 it was no", endpoint="a:1"),
        RemoteExecutionFailed("token=hunter2", downstream=BEHIND_TWO),
        HopLimitExceeded("api_key=hunter2", hops=11),
    ):
        answer = told(NodeFailed("far", cause), REMOTE, 1)
        assert "hunter2" not in answer.message + answer.context
