"""Joining the events of a history to records: starts with their ends, chunks with their answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rpe.chaos.records import (
    Attempt,
    BreakerChange,
    Chunk,
    ChunkAnswer,
    Event,
    FaultRecord,
    HealthChange,
    Missed,
    Operation,
    Resources,
    ServerEvent,
    WindowRecord,
)

__all__ = [
    "attempts",
    "breaker_changes",
    "chunk_answers",
    "chunks",
    "faults",
    "health_changes",
    "missed",
    "operations",
    "resources",
    "server_events",
    "windows",
]


def operations(starts: Iterable[Event], ends: Iterable[Event]) -> dict[str, Operation]:
    """Join the starts of operations with their ends; the first end counts, further ones are numbered."""
    joined: dict[str, Operation] = {}
    for event in starts:
        fields = event.fields
        op = str(fields["op"])
        joined[op] = Operation(
            op=op,
            workload=str(fields.get("workload", "")),
            kind=str(fields.get("kind", "unary")),
            due_s=float(fields.get("due_s", event.t)),
            started_s=event.t,
            timeout_s=fields.get("timeout_s"),
            repeatable=bool(fields.get("repeatable", True)),
            request_hash=fields.get("request_hash"),
            expected_hash=fields.get("expected_hash"),
        )
    for event in ends:
        started = joined.get(str(event.fields.get("op")))
        if started is not None:
            joined[started.op] = _ended(started, event)
    return joined


def _ended(operation: Operation, event: Event) -> Operation:
    if operation.ends:
        return replace(operation, ends=operation.ends + 1)
    fields = event.fields
    latency_s = fields.get("latency_s")
    return replace(
        operation,
        ends=1,
        ended_s=event.t,
        outcome=fields.get("outcome"),
        code=fields.get("code"),
        error_kind=fields.get("error_kind"),
        message=fields.get("message"),
        endpoint=fields.get("endpoint"),
        node=fields.get("node"),
        response_hash=fields.get("response_hash"),
        latency_s=event.t - operation.due_s if latency_s is None else float(latency_s),
        attempts=fields.get("attempts"),
    )


def missed(events: Iterable[Event]) -> tuple[Missed, ...]:
    """Read the arrivals that could not be started."""
    return tuple(
        Missed(
            str(event.fields["op"]),
            float(event.fields.get("due_s", event.t)),
            str(event.fields.get("reason", "")),
        )
        for event in events
    )


def chunk_answers(events: Iterable[Event]) -> tuple[ChunkAnswer, ...]:
    """Read every answer of every stream."""
    return tuple(
        ChunkAnswer(
            t=event.t,
            op=str(event.fields["op"]),
            seq=int(event.fields["seq"]),
            hash=event.fields.get("hash"),
            latency_s=event.fields.get("latency_s"),
        )
        for event in events
    )


def chunks(sent: Iterable[Event], answers: Sequence[ChunkAnswer]) -> dict[tuple[str, int], Chunk]:
    """Join the chunks that were sent with their answers; answers to what was not sent are left out."""
    given: dict[tuple[str, int], list[ChunkAnswer]] = {}
    for answer in answers:
        given.setdefault((answer.op, answer.seq), []).append(answer)
    joined: dict[tuple[str, int], Chunk] = {}
    for event in sent:
        op, seq = key = (str(event.fields["op"]), int(event.fields["seq"]))
        joined[key] = Chunk(
            op=op,
            seq=seq,
            sent_s=event.t,
            due_s=float(event.fields.get("due_s", event.t)),
            hash=event.fields.get("hash"),
            expected_hash=event.fields.get("expected_hash"),
            answers=tuple(given.get(key, ())),
        )
    return joined


def attempts(events: Iterable[Event]) -> tuple[Attempt, ...]:
    """Join the attempts that were reported; of some, only the end may be told."""
    joined: list[Attempt] = []
    running: dict[tuple[Any, ...], int] = {}
    for position, event in enumerate(events):
        if event.name not in ("attempt.start", "attempt.end"):
            continue
        fields = event.fields
        key = (fields.get("op"), fields.get("attempt"), fields.get("endpoint"))
        if event.name == "attempt.end" and key in running:
            at = running.pop(key)
            joined[at] = replace(
                joined[at], ended_s=event.t, outcome=fields.get("outcome"), code=fields.get("code")
            )
            continue
        attempt = Attempt(
            op=str(fields.get("op", "")),
            attempt=fields.get("attempt"),
            endpoint=str(fields.get("endpoint", "")),
            started_s=event.t,
            probe=bool(fields.get("probe", False)),
            timeout_s=fields.get("timeout_s"),
            position=position,
        )
        if event.name == "attempt.end":
            attempt = replace(
                attempt,
                started_s=event.t - float(fields.get("duration_s") or 0.0),
                ended_s=event.t,
                outcome=fields.get("outcome"),
                code=fields.get("code"),
            )
        else:
            running[key] = len(joined)
        joined.append(attempt)
    return tuple(joined)


def breaker_changes(events: Iterable[Event]) -> tuple[BreakerChange, ...]:
    """Read the changes of breakers."""
    return tuple(
        BreakerChange(
            t=event.t,
            endpoint=str(event.fields.get("endpoint", "")),
            before=str(event.fields.get("before", "")),
            after=str(event.fields.get("after", "")),
            cause=str(event.fields.get("cause") or ""),
            position=position,
        )
        for position, event in enumerate(events)
        if event.name == "breaker"
    )


def health_changes(events: Iterable[Event]) -> tuple[HealthChange, ...]:
    """Read the changes of health."""
    return tuple(
        HealthChange(event.t, str(event.fields.get("endpoint", "")), bool(event.fields.get("healthy")))
        for event in events
    )


def windows(opened: Iterable[Event], closed: Iterable[Event]) -> dict[str, WindowRecord]:
    """Join the opening and the closing of each window."""
    joined = {
        str(event.fields["window"]): WindowRecord(str(event.fields["window"]), event.t) for event in opened
    }
    for event in closed:
        window = joined.get(str(event.fields["window"]))
        if window is not None:
            joined[window.name] = replace(window, closed_s=event.t)
    return joined


def faults(events: Iterable[Event]) -> dict[str, FaultRecord]:
    """Join what is told of each fault."""
    joined: dict[str, FaultRecord] = {}
    for event in events:
        fields = event.fields
        name = str(fields["fault"])
        joined[name] = replace(joined.get(name, FaultRecord(name)), **_told(event, fields))
    return joined


def _told(event: Event, fields: Mapping[str, Any]) -> dict[str, Any]:
    match event.name:
        case "fault.apply":
            return {
                "kind": str(fields.get("kind", "")),
                "on": tuple(fields.get("on", ())),
                "asked_s": event.t,
            }
        case "fault.applied":
            return {"applied_s": event.t, "verified": bool(fields.get("verified", False))}
        case "fault.healed":
            return {"healed_s": event.t}
        case "fault.fired":
            return {"fired": fields.get("count"), "evidence": fields.get("evidence") or {}}
        case "fault.failed":
            return {"error": str(fields.get("error", "it failed"))}
        case _:
            return {}


def server_events(events: Iterable[Event]) -> Iterable[ServerEvent]:
    """Read the entries of the servers' journals."""
    for event in events:
        fields = event.fields
        fault = fields.get("fault") or None
        yield ServerEvent(
            t=event.t,
            kind=event.name.removeprefix("server."),
            server=str(fields.get("server", "")),
            op=fields.get("op") or None,
            attempt=fields.get("attempt"),
            call=None if fields.get("call") is None else str(fields["call"]),
            method=fields.get("method"),
            request_hash=fields.get("request_hash"),
            response_hash=fields.get("response_hash"),
            remaining_s=fields.get("remaining_s"),
            sequence=fields.get("seq"),
            fault=None if fault is None else str(fault),
            fields=fields,
        )


def resources(events: Iterable[Event]) -> dict[str, Resources]:
    """Read what the process held; of several of one moment, the last counts."""
    names = ("tasks", "fds", "threads", "children", "sockets", "in_flight")
    return {
        str(event.fields["when"]): Resources(
            str(event.fields["when"]), **{name: event.fields.get(name) for name in names}
        )
        for event in events
    }
