"""What is wrong with a scenario file: where, which field, and what to write instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rpe.errors import ConfigurationError

__all__ = ["Problem", "ScenarioError"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake. `line` counts from 1 and is 0 where there is none to point at."""

    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.field}: {self.message}" if self.field else f"{place}: {self.message}"


class ScenarioError(ConfigurationError):
    """Scenario files cannot be used; every mistake found is listed in `problems`."""

    code = "scenario"
    default_hint = "`rpe schema` prints what a scenario file may say, for editors and for people"

    def __init__(self, problems: Sequence[Problem]) -> None:
        found = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("\n".join([f"{found} in the scenarios", *(f"  {problem}" for problem in problems)]))
        self.problems = tuple(problems)
