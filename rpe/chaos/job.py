"""What a worker process is told to do, as one line of JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from rpe.chaos.options import RunOptions
from rpe.chaos.scenario.matrix import Cell
from rpe.chaos.scenario.model import Scenario

__all__ = ["Job"]


@dataclass(frozen=True, slots=True)
class Job:
    """One cell, the options to run it with, and the folder to write it into."""

    cell: Cell
    options: RunOptions
    folder: Path

    def to_json(self) -> str:
        """Return the job as one line of JSON."""
        cell = self.cell
        return json.dumps(
            {
                "cell": {
                    "id": cell.id,
                    "scenario": cell.scenario.model_dump(mode="json", exclude_unset=True),
                    "transport": cell.transport,
                    "values": dict(cell.values),
                    "theme": cell.theme,
                },
                "options": {**asdict(self.options), "out": str(self.options.out)},
                "folder": str(self.folder),
            }
        )

    @classmethod
    def from_json(cls, line: str) -> Self:
        """Read a job. Raises ValueError, TypeError or KeyError where the line is none."""
        job: dict[str, Any] = json.loads(line)
        cell = {**job["cell"], "scenario": Scenario.model_validate(job["cell"]["scenario"])}
        options = RunOptions(**{**job["options"], "out": Path(job["options"]["out"])})
        return cls(Cell(**cell), options, Path(job["folder"]))
