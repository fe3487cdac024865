"""answer, for streams: once, in order, each of its own chunk, and none left out of a good end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rpe.chaos.result import Status
from tests.support.runs import Told, add, change, check, drop, good_stream, plan_of

OP = {"op": "calls-1"}

SPOILED: dict[str, tuple[Callable[[list[Told]], list[Told]], str]] = {
    "twice": (
        lambda told: add(told, (1.2, "chunk.answered", {**OP, "seq": 1, "hash": "out-1"})),
        "calls-1 chunk 1 was answered again",
    ),
    "out of order": (
        lambda told: add(
            drop(told, "chunk.answered", **OP, seq=1),
            (1.15, "chunk.answered", {**OP, "seq": 1, "hash": "out-1"}),
        ),
        "calls-1 chunk 1 was answered after chunk 4",
    ),
    "of another chunk": (
        lambda told: change(told, "chunk.answered", {**OP, "seq": 2}, hash="out-3"),
        "calls-1 chunk 2 got out-3, its answer is out-2",
    ),
    "to nothing that was sent": (
        lambda told: add(told, (1.15, "chunk.answered", {**OP, "seq": 77, "hash": "out-77"})),
        "calls-1 chunk 77 was answered, but never sent",
    ),
    "a short but normal end": (
        lambda told: drop(drop(told, "chunk.answered", **OP, seq=4), "chunk.answered", **OP, seq=3),
        "calls-1 at a ended as complete with 2 chunks unanswered, the first is 3",
    ),
}


@pytest.mark.parametrize("spoilt", SPOILED)
def test_an_answer_that_is_not_what_it_should_be(spoilt: str) -> None:
    spoil, evidence = SPOILED[spoilt]

    result = check("answer", spoil(good_stream()))

    assert result.status is Status.FAIL
    assert evidence in "\n".join(result.evidence)


def test_a_session_that_broke_may_leave_chunks_unanswered() -> None:
    told = drop(good_stream(), "chunk.answered", **OP, seq=4)
    told = change(told, "operation.end", OP, outcome="failed", code="stream_broken")

    assert check("answer", told).status is Status.PASS


def test_without_journals_only_an_echo_can_be_compared() -> None:
    told = [event for event in good_stream() if not event[1].startswith("server.")]
    echoed = [
        (t, name, {**fields, "hash": f"in-{fields['seq']}"} if name == "chunk.answered" else fields)
        for t, name, fields in told
    ]

    assert check("answer", told).status is Status.UNKNOWN
    assert check("answer", echoed, plan_of(manifest="echo")).status is Status.PASS
    assert check("answer", told, plan_of(manifest="Echo")).status is Status.FAIL


def test_a_hash_that_the_load_expected_counts() -> None:
    told = [event for event in good_stream() if not event[1].startswith("server.")]
    told = [
        (t, name, {**fields, "expected_hash": f"out-{fields['seq']}"} if name == "chunk.sent" else fields)
        for t, name, fields in told
    ]

    assert check("answer", told).status is Status.PASS
