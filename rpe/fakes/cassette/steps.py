"""What a replay does of one recorded call, step by step: what each step waits for, and then how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from rpe.fakes.cassette.lines import AnswerLine, CallLine, EndLine, HalfCloseLine, HeadersLine, RequestLine
from rpe.fakes.cassette.model import RecordedCall
from rpe.fakes.cassette.splice import Splice

__all__ = ["Step", "spliced", "steps_of"]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is sent, or done.

    Attributes:
        kind: `headers`, `answer` and `end` are of the recording; the others are faults.
        at_s: when it was, counted from the start of the call.
        gap_s: how long after what it followed: that is `requests` messages of the caller's, its end
            where `closed`, and the beginning of the calls in `others`.
        told: the line of the cassette; None for a fault, and for the end of a call that has none.
        delay_s: waited beside that, at any speed.
        fault: what the journal is told when this is reached.
    """

    kind: Literal["headers", "answer", "end", "nothing", "status", "cut", "hang"]
    at_s: float
    gap_s: float
    requests: int
    closed: bool
    others: tuple[int, ...] = ()
    told: HeadersLine | EndLine | None = None
    data: bytes = b""
    delay_s: float = 0.0
    fault: str = ""


def steps_of(call: RecordedCall, calls: Sequence[RecordedCall] = ()) -> list[Step]:
    """Return the steps of a recorded call. The last one is its end, also where it has none.

    calls: all calls of the cassette: what an event stream said may have followed another call.
    """
    opened = _opened_beside(call, calls)
    steps: list[Step] = []
    requests, closed, since_s, at_s = 0, False, 0.0, 0.0
    for event in call.events:
        told, at_s = event.told, event.told.at_s
        match told:
            case RequestLine():
                requests, since_s = requests + 1, at_s
            case HalfCloseLine():
                closed, since_s = True, at_s
            case HeadersLine() | AnswerLine() | EndLine():
                others = tuple(number for line, number, _ in opened if line < event.line)
                begun_s = [began_s for line, _, began_s in opened if line < event.line]
                opened = [other for other in opened if other[0] > event.line]
                since_s = max(since_s, *begun_s) if begun_s else since_s
                steps.append(
                    Step(
                        kind=told.event,
                        at_s=at_s,
                        gap_s=max(at_s - since_s, 0.0),
                        requests=requests,
                        closed=closed,
                        others=others,
                        told=None if isinstance(told, AnswerLine) else told,
                        data=told.data if isinstance(told, AnswerLine) else b"",
                    )
                )
    if call.end is None:
        steps.append(Step("end", at_s, max(at_s - since_s, 0.0), requests, closed))
    return steps


def _opened_beside(call: RecordedCall, calls: Sequence[RecordedCall]) -> list[tuple[int, int, float]]:
    """The calls that an event stream may have answered: those of its own resource that began while it ran.

    Their lines, their numbers, and when they had come, by the time of this call.
    """
    if not call.is_event_stream:
        return []
    resource = call.head.path.partition("?")[0].rpartition("/")[0]
    if not resource:
        return []
    last = call.events[-1].line
    return [
        (other.line, other.number, _came_s(other.head, other) - call.head.began_s)
        for other in calls
        if call.line < other.line < last
        and (path := other.head.path.partition("?")[0])
        and (path == resource or path.startswith(resource + "/"))
    ]


def _came_s(head: CallLine, call: RecordedCall) -> float:
    """When a call had come whole, by the time of the recorder."""
    ends = [event.told.at_s for event in call.events if isinstance(event.told, HalfCloseLine)]
    return head.began_s + (ends[0] if ends else 0.0)


def spliced(steps: Sequence[Step], splice: Splice, random: Random) -> tuple[list[Step], str]:
    """Return the steps with a fault among them; and, where it found no place, why not."""
    at = _place(steps, splice)
    if at is None:
        answers = sum(step.kind == "answer" for step in steps)
        return list(steps), f"{splice.kind} was not applied: the answer has {answers} messages"
    step, before, after = steps[at], list(steps[:at]), list(steps[at + 1 :])
    number = sum(step.kind == "answer" for step in steps[: at + 1])
    fault = f"{splice.kind} at {_named(step, number)}"
    match splice.kind:
        case "drop":
            # What waited for the dropped one waits all the same.
            return [*before, replace(step, kind="nothing", fault=fault), *after], ""
        case "duplicate":
            return [*before, replace(step, fault=fault), step, *after], ""
        case "delay":
            return [*before, replace(step, fault=fault, delay_s=splice.delay_s), *after], ""
        case "corrupt":
            if not step.data:
                return list(steps), f"corrupt was not applied: {_named(step, number)} is empty"
            bit = random.randrange(len(step.data) * 8)
            fault = f"{fault}, bit {bit}"
            data = bytearray(step.data)
            data[bit // 8] ^= 1 << bit % 8
            return [*before, replace(step, data=bytes(data), fault=fault), *after], ""
        case "status" | "cut" | "hang":
            gap_s = step.gap_s
            if splice.at_s is not None:  # at that very time, and not when the message was due
                gap_s = max(gap_s - (step.at_s - splice.at_s), 0.0)
            return [*before, replace(step, kind=splice.kind, gap_s=gap_s, told=None, fault=fault)], ""


def _place(steps: Sequence[Step], splice: Splice) -> int | None:
    answers = [at for at, step in enumerate(steps) if step.kind == "answer"]
    if splice.at_s is not None:
        late = [at for at, step in enumerate(steps) if step.at_s >= splice.at_s]
        return next((at for at in late if not splice.is_to_message or steps[at].kind == "answer"), None)
    if splice.place == 0:
        return 0
    if splice.place <= len(answers):
        return answers[splice.place - 1]
    if splice.place == len(answers) + 1 and (not splice.is_to_message or splice.kind == "delay"):
        return len(steps) - 1
    return None


def _named(step: Step, number: int) -> str:
    return f"message {number}" if step.kind == "answer" else f"the {step.kind}"
