from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from rpe.data import Json, RuntimeData, Text
from rpe.errors import ConfigurationError
from rpe.manifest.model import Manifest
from rpe.testing import Call, FakePipeline
from rpe.testing.expectations import Expectation, checks
from rpe.transport.serving import ReceivedChunk, ServerCall


def call(
    number: int = 1,
    text: str = "hello",
    *,
    node_type: str = "Echo",
    method: str = "execute",
    metadata: Mapping[str, str] | None = None,
    attempt: int = 0,
    **params: Any,
) -> Call:
    sent = ServerCall(method, "peer", metadata or {}, None, f"op-{number}", attempt)
    return Call(number, sent, Manifest.single("n", node_type=node_type, **params), {"n": Text(text)})


def expectation(at_least: int = 1, at_most: int | None = 1, after: int = 0, **wanted: Any) -> Expectation:
    return Expectation(checks(**wanted), at_least, at_most, after)


def odd(call: Call) -> bool:
    return call.number % 2 == 1


@pytest.mark.parametrize(
    ("wanted", "miss"),
    [
        ({"node_type": "Gain"}, "node_type: wanted 'Gain', got 'Echo'"),
        ({"method": "stream"}, "method: wanted 'stream', got 'execute'"),
        ({"text": "hell"}, "text: wanted 'hell', got 'hello'"),
        ({"text_contains": "lu"}, "text: wanted one containing 'lu', got 'hello'"),
        ({"text_matches": "^l+"}, "text: wanted one matching /^l+/, got 'hello'"),
        ({"params": {"gain": 2}}, "params.gain: wanted 2, got 3"),
        ({"params": {"rate": 2}}, "params.rate: wanted 2, got none of that name"),
        ({"metadata": {"X-Tenant": "b"}}, "metadata.x-tenant: wanted 'b', got 'a'"),
        ({"metadata": {"x-other": "b"}}, "metadata.x-other: wanted 'b', got none"),
        (
            {"metadata": {"authorization": "Bearer w"}},
            "metadata.authorization: wanted the one expected, got another",
        ),
        ({"operation_id": "op-9"}, "operation_id: wanted 'op-9', got 'op-2'"),
        ({"attempt": 2}, "attempt: wanted 2, got 1"),
        ({"where": odd}, "where: wanted odd to hold, got that it does not"),
    ],
)
def test_each_condition_tells_how_a_call_differs(wanted: dict[str, Any], miss: str) -> None:
    came = call(2, metadata={"x-tenant": "a", "authorization": "Bearer planted"}, attempt=1, gain=3)
    problem = expectation(**wanted).problem([came])
    assert problem.splitlines()[1:] == [
        "  nearest: call 2 (execute of Echo, operation op-2, attempt 1)",
        f"    {miss}",
    ]
    assert "planted" not in problem


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"node_type": "Echo"},
        {"method": "execute"},
        {"text": "hello"},
        {"text_contains": "ell"},
        {"text_matches": "l+o$"},
        {"params": {"gain": 3}},
        {"metadata": {"X-Tenant": "a"}},
        {"operation_id": "op-1"},
        {"attempt": 1},
        {"where": odd},
    ],
)
def test_a_call_that_fits_meets_it(wanted: dict[str, Any]) -> None:
    assert expectation(**wanted).problem([call(metadata={"x-tenant": "a"}, attempt=1, gain=3)]) == ""


def test_the_call_that_misses_the_fewest_conditions_is_nearest_and_of_several_the_newest() -> None:
    calls = [call(1, "a"), call(2, "b", node_type="Gain"), call(3, "c"), call(4, "d", node_type="Gain")]
    lines = expectation(node_type="Echo", text="z").problem(calls).splitlines()
    assert lines[0] == "expected 1 call with node_type 'Echo' and text 'z': 0 came, of 4 calls in all"
    told = [line.split("(")[0].strip() for line in lines if "call" in line][1:]
    assert told == ["nearest: call 3", "then: call 1", "then: call 4"]


@pytest.mark.parametrize(
    ("at_least", "at_most", "came", "told"),
    [
        (0, 0, 0, ""),
        (0, 0, 1, "expected no call"),
        (2, 2, 1, "expected 2 calls"),
        (2, 2, 2, ""),
        (2, 2, 3, "expected 2 calls"),
        (2, None, 1, "expected at least 2 calls"),
        (2, None, 5, ""),
        (1, 2, 3, "expected 1 to 2 calls"),
    ],
)
def test_calls_are_counted(at_least: int, at_most: int | None, came: int, told: str) -> None:
    problem = expectation(at_least, at_most).problem([call(number + 1) for number in range(came)])
    assert problem.startswith(told) and bool(problem) is bool(told)
    if came > at_least:
        assert problem == "" or f"it was call {came} " in problem


def test_calls_before_it_do_not_count_but_are_told_of() -> None:
    problem = expectation(after=1, text="hello").problem([call(1), call(2, "bye")])
    assert problem.splitlines()[-1] == "  1 call like it came before it was expected"


def test_all_data_of_a_session_counts() -> None:
    came = call(method="stream")
    came.chunks.append(ReceivedChunk("n", Text("one"), 0))
    chunk: Mapping[str, RuntimeData] = {"n": Text("two"), "m": Json({})}
    came.chunks.append(ReceivedChunk("", chunk, 1))
    assert came.texts == ("hello", "one", "two") and len(came.data) == 4
    assert expectation(text="two").problem([came]) == ""


@pytest.mark.parametrize(
    "wanted",
    [
        {"times": 1, "at_least": 1},
        {"times": -1},
        {"times": True},
        {"at_least": True},
        {"colour": "red"},
        {"method": "version"},
        {"text_matches": "("},
    ],
)
def test_what_cannot_be_expected_is_refused(wanted: dict[str, Any]) -> None:
    fake = FakePipeline()
    with pytest.raises(ConfigurationError):
        fake.expect(**wanted)
    assert fake.problems() == ""
