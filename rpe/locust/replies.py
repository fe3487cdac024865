"""What a user is told of its call: that it failed is an answer, and not an exception."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from rpe.data import RuntimeData
from rpe.load.frames import Frame
from rpe.load.messages import unpack_outputs
from rpe.transport.ports import ChunkResult, ExecutionResult

__all__ = ["Reply", "StreamReply"]


@dataclass(frozen=True)
class _Answer:
    """What executions and sessions have in common.

    Arguments:
        latency_s: seconds from the engine's beginning of the call to its end, retries included.
        error: one line that says what went wrong, as the report counts it; None where nothing did.
        detail: all that is known of the error: the endpoint, the attempts made, a hint.
    """

    latency_s: float
    error: str | None
    detail: str
    _frame: Frame = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether the call did what it was asked for."""
        return self.error is None

    @classmethod
    def _parts(cls, frame: Frame) -> tuple[float, str | None, str, Frame]:
        head = frame.head
        return head.get("latency_s", 0.0), head.get("error"), head.get("text", ""), frame


class Reply(_Answer):
    """The answer to `execute`; `outputs` is empty where the call failed."""

    @classmethod
    def read(cls, frame: Frame) -> Reply:
        """Read the engine's answer."""
        return cls(*cls._parts(frame))

    @cached_property
    def outputs(self) -> dict[str, RuntimeData]:
        """The outputs by node id, read when they are first asked for."""
        return unpack_outputs(self._frame.body)

    @property
    def output(self) -> RuntimeData:
        """The output called `output`, or else the only one (LookupError where that is not clear)."""
        return ExecutionResult(self.outputs).output


class StreamReply(_Answer):
    """The answer to `stream`: how many chunks were sent, how many were answered, and the results if kept."""

    @classmethod
    def read(cls, frame: Frame) -> StreamReply:
        """Read the engine's answer."""
        return cls(*cls._parts(frame))

    @property
    def sent(self) -> int:
        """How many chunks went out."""
        return int(self._frame.head.get("sent", 0))

    @property
    def answered(self) -> int:
        """How many chunks had a result of their own."""
        return int(self._frame.head.get("answered", 0))

    @cached_property
    def results(self) -> list[ChunkResult]:
        """The results in the order in which they came, where `keep` was asked for."""
        found, start = [], 0
        for sequence, length in self._frame.head.get("results", []):
            found.append(ChunkResult(sequence, unpack_outputs(self._frame.body[start : start + length])))
            start += length
        return found
