"""The last good answers of a chain's steps, kept for when no step gives one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

from rpe.client.fallback.errors import AnswerNotKept
from rpe.client.fallback.keys import input_key, size_bytes
from rpe.client.fallback.steps import StepCall, check_step
from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.data import RuntimeData
from rpe.errors import ConfigurationError
from rpe.policy._settings import check_number, check_whole
from rpe.transport.ports import ExecutionResult

__all__ = ["CachedStep"]


class _Kept(NamedTuple):
    outputs: Mapping[str, RuntimeData]
    at_s: float
    size_bytes: int


class CachedStep:
    """Gives the last good answer to equal inputs again, as long as it is fresh enough.

    Two inputs are equal where all their fields are, and the metadata beside them. Kept are
    outputs and nothing else, the least recently used ones going first. An error is never
    kept, and neither is a partial success. It belongs to one chain, since equal inputs
    have other answers in another one.

    Arguments:
        name: what the chain calls it.
        max_age_s: an older answer is not given, in seconds.
        max_entries, max_bytes: how many answers are kept at most, and how much of them; a single
            answer above `max_bytes` is not kept.
        clock: measures ages.
    """

    def __init__(
        self,
        name: str = "cached",
        *,
        max_age_s: float,
        max_entries: int = 256,
        max_bytes: int = 64 * 1024 * 1024,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        check_step(name)
        check_number("CachedStep.max_age_s", max_age_s, above=0.0)
        check_whole("CachedStep.max_entries", max_entries, least=1)
        check_whole("CachedStep.max_bytes", max_bytes, least=1)
        self.name = name
        self.max_age_s = max_age_s
        self.max_entries = max_entries
        self.max_bytes = max_bytes
        self.bytes = 0
        self._clock = clock
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self._claimed = False

    async def execute(self, call: StepCall) -> ExecutionResult:
        """Give the kept answer. Raises AnswerNotKept where there is none."""
        return self.recall(call)[0]

    def recall(self, call: StepCall) -> tuple[ExecutionResult, float]:
        """Return the kept answer to a call, and its age in seconds. Raises AnswerNotKept."""
        key = input_key(call.inputs, call.metadata)
        kept = None if key is None else self._kept.get(key)
        if key is None or kept is None:
            raise AnswerNotKept("no good answer to these inputs is kept")
        age_s = self._clock.now() - kept.at_s
        if age_s > self.max_age_s:
            self._forget(key)
            raise AnswerNotKept(
                f"the last good answer to these inputs is {age_s:.1f} s old, above {self.max_age_s:g} s"
            )
        self._kept.move_to_end(key)
        return ExecutionResult(kept.outputs), age_s

    def record(self, call: StepCall, result: ExecutionResult) -> None:
        """Keep the answer that another step has just given to a call, in the place of an older one."""
        if result.partial:
            return
        key = input_key(call.inputs, call.metadata)
        if key is None:
            return
        self._forget(key)
        size = size_bytes(result.outputs)
        if size > self.max_bytes:
            return
        self._kept[key] = _Kept(dict(result.outputs), self._clock.now(), size)
        self.bytes += size
        while self.bytes > self.max_bytes or len(self._kept) > self.max_entries:
            self._forget(next(iter(self._kept)))

    def clear(self) -> None:
        """Forget every answer."""
        self._kept.clear()
        self.bytes = 0

    def claim(self) -> None:
        """Take it for one chain. Raises ConfigurationError where another one has it already."""
        if self._claimed:
            raise ConfigurationError(f"step {self.name!r} keeps the answers of another chain already")
        self._claimed = True

    def _forget(self, key: bytes) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self.bytes -= kept.size_bytes

    def __len__(self) -> int:
        return len(self._kept)

    def __repr__(self) -> str:
        return f"CachedStep({self.name!r}, {len(self)} answers, {self.bytes} bytes)"
