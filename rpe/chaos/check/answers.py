"""answer: what a caller gets is the answer to what it asked, whole, in order and once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rpe.chaos.check.base import Check, at, failed, operation_at, passed, unknown
from rpe.chaos.check.traffic import computed_chunks, executions
from rpe.chaos.history import History
from rpe.chaos.plan import Plan
from rpe.chaos.records import Operation
from rpe.chaos.result import CheckResult

__all__ = ["CHECK"]

NAME = "answer"

ENDED_EARLY = "ended_early"
"""The code of a session that its client reported as complete before all was sent."""


def answer(history: History, plan: Plan) -> CheckResult:
    """Compare every answer with what it may be.

    That is the hash that the workload expected, or what the servers' journals say they
    computed for this operation and this request; for an echo that no journal tells of, the
    request itself.
    """
    unary = [
        operation for operation in history.operations.values() if operation.kind == "unary" and operation.ok
    ]
    wrong: list[str] = []
    unseen: list[str] = []
    for operation in unary:
        possible = _possible_answers(history, plan, operation)
        if not possible and operation.op in history.once(executions):
            wrong.append(
                operation_at(operation, "was answered by servers that had been asked something else")
            )
        elif operation.response_hash is None or not possible:
            unseen.append(operation_at(operation, "was answered, but with what cannot be told"))
        elif operation.response_hash not in possible:
            what = f"got {_short(operation.response_hash)}, the answer to it is {_short(*sorted(possible))}"
            wrong.append(operation_at(operation, what))
    wrong_chunks, unseen_chunks = _chunks(history, plan)
    wrong += wrong_chunks
    wrong += _incomplete(history)
    unseen += unseen_chunks
    judged = len(unary) + len(history.chunk_answers)
    if wrong:
        return failed(NAME, f"{len(wrong)} of {judged} answers are not what was asked for", wrong)
    if unseen:
        return unknown(
            NAME, f"{len(unseen)} of {judged} answers cannot be compared with their requests", unseen
        )
    if not judged:
        return unknown(NAME, "there was no answer to look at")
    return passed(NAME, f"each of {judged} answers belongs to its request")


def _possible_answers(history: History, plan: Plan, operation: Operation) -> set[str]:
    possible: set[str] = set()
    for call in history.once(executions).get(operation.op, ()):
        known = None not in (call.request_hash, operation.request_hash)
        if call.response_hash is not None and (not known or call.request_hash == operation.request_hash):
            possible.add(call.response_hash)
    if operation.expected_hash is not None:
        possible.add(operation.expected_hash)
    told = operation.op in history.once(executions)
    if not possible and not told and plan.echoes and operation.request_hash is not None:
        possible.add(operation.request_hash)
    return possible


def _chunks(history: History, plan: Plan) -> tuple[list[str], list[str]]:
    """Judge each answer of each stream: known, once, in order, and of its own chunk."""
    wrong: list[str] = []
    unseen: list[str] = []
    computed = history.once(computed_chunks)
    last: dict[str, int] = {}
    answered: set[tuple[str, int]] = set()
    for given in history.chunk_answers:
        key = (given.op, given.seq)
        chunk = history.chunks.get(key)
        label = f"{given.op} chunk {given.seq}"
        if chunk is None:
            wrong.append(at(given.t, f"{label} was answered, but never sent"))
            continue
        if key in answered:
            wrong.append(at(given.t, f"{label} was answered again"))
            continue
        answered.add(key)
        if given.seq < last.get(given.op, -1):
            wrong.append(at(given.t, f"{label} was answered after chunk {last[given.op]}"))
        last[given.op] = max(given.seq, last.get(given.op, -1))
        possible = _possible_chunk(computed, plan, key, chunk.hash, chunk.expected_hash)
        if given.hash is None or not possible:
            unseen.append(at(given.t, f"{label} was answered, but with what cannot be told"))
        elif given.hash not in possible:
            what = f"{label} got {_short(given.hash)}, its answer is {_short(*sorted(possible))}"
            wrong.append(at(given.t, what))
    return wrong, unseen


def _possible_chunk(
    computed: Mapping[tuple[str, int], set[str]],
    plan: Plan,
    key: tuple[str, int],
    sent: str | None,
    expected: str | None,
) -> set[str]:
    possible = set(computed.get(key, ()))
    if expected is not None:
        possible.add(expected)
    if not possible and plan.echoes and sent is not None:
        possible.add(sent)
    return possible


def _incomplete(history: History) -> Iterable[str]:
    """Find sessions that ended as if complete although chunks are unanswered: a short but normal end."""
    unanswered: dict[str, list[int]] = {}
    for chunk in history.chunks.values():
        if not chunk.answers:
            unanswered.setdefault(chunk.op, []).append(chunk.seq)
    for operation in history.operations.values():
        missing = unanswered.get(operation.op)
        if operation.code == ENDED_EARLY:
            yield operation_at(operation, "ended as complete before all of its chunks were sent")
        elif operation.ok and missing:
            what = f"ended as complete with {len(missing)} chunks unanswered, the first is {min(missing)}"
            yield operation_at(operation, what)


def _short(*hashes: str) -> str:
    return " or ".join(value[:12] for value in hashes)


CHECK = Check(NAME, "Every answer belongs to its request; those of a stream come once and in order.", answer)
