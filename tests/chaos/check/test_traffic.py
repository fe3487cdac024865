"""What really went over the wire, put together from both sides."""

from __future__ import annotations

from collections import Counter

from rpe.chaos.check.traffic import computed_chunks, executions, seen_attempts, served_calls
from tests.support.runs import Told, add, good_stream, good_unary, history


def arrived(t: float, method: str, *, op: str | None = None, call: int = 900) -> Told:
    return (t, "server.received", {"server": "a", "op": op, "call": call, "method": method})


def reported(t: float, op: str, attempt: int, endpoint: str) -> Told:
    return (t, "attempt.start", {"op": op, "attempt": attempt, "endpoint": endpoint, "probe": False})


def test_an_attempt_that_both_sides_tell_of_is_one() -> None:
    seen = seen_attempts(history(good_unary()))

    assert len(seen) == 40
    assert Counter(attempt.endpoint for attempt in seen) == {"a": 14, "b": 13, "c": 13}


def test_health_checks_and_questions_are_no_attempts() -> None:
    told = add(
        good_unary(),
        arrived(1.0, "/grpc.health.v1.Health/Check", call=900),
        arrived(1.1, "/remotemedia.v1.PipelineExecutionService/GetVersion", call=901),
    )

    assert len(seen_attempts(history(told))) == 40


def test_work_that_came_without_a_name_is_an_attempt_of_no_known_operation() -> None:
    told = add(
        good_unary(),
        arrived(1.0, "/remotemedia.v1.PipelineExecutionService/ExecutePipeline", call=900),
        arrived(1.1, "/remotemedia.v1.StreamingPipelineService/StreamPipeline", call=901),
    )

    seen = seen_attempts(history(told))

    assert [attempt.t for attempt in seen if attempt.op is None] == [1.0, 1.1]


def test_an_attempt_that_never_arrived_counts_and_so_does_one_that_was_never_reported() -> None:
    told = add(
        good_unary(),
        reported(0.35, "calls-3", 2, "b"),
        arrived(0.45, "/rpe/Execute", op="calls-4"),
    )

    by_op = Counter(attempt.op for attempt in seen_attempts(history(told)))

    assert by_op["calls-3"] == 2
    assert by_op["calls-4"] == 2
    assert by_op.total() == 42


def test_the_work_of_an_operation_is_done_where_an_answer_was_computed() -> None:
    done = executions(history(add(good_unary(), arrived(0.45, "/rpe/Execute", op="calls-4"))))

    (call,) = done["calls-4"]
    assert (call.server, call.request_hash, call.response_hash) == ("b", "request-calls-4", "answer-calls-4")
    assert call.executed_s == 0.402


def test_a_call_of_a_stream_is_one_however_many_chunks_it_has() -> None:
    told = history(good_stream())

    assert len(served_calls(told)) == 4
    assert {op: len(calls) for op, calls in executions(told).items()} == {f"calls-{n}": 1 for n in range(4)}
    assert computed_chunks(told)["calls-2", 3] == {"out-3"}
