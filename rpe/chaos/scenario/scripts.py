"""The scripts that faults give to servers are checked like those that servers have from the beginning."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from pydantic import ValidationError

from rpe.chaos.scenario.faults import Fault
from rpe.chaos.scenario.wording import dotted, mistakes
from rpe.fakes.behaviour import Behaviour
from rpe.faults.actions import SetBehaviour
from rpe.faults.kinds import FaultContext
from rpe.lined_yaml import Path, unlined

__all__ = ["script_mistakes"]


def script_mistakes(fault: Fault) -> Iterator[tuple[Path, str]]:
    """Yield (path below the fault kind, message) for what is wrong in the scripts that a fault sets."""
    for step in fault.settings.actions(FaultContext(fault.for_s, Random(0))):
        if not isinstance(step.action, SetBehaviour):
            continue
        script = dict(step.action.behaviour)
        try:
            Behaviour.model_validate(script)
        except ValidationError as error:
            for path, message in mistakes(error.errors(), unlined(script), Behaviour.model_json_schema()):
                if fault.settings.model_dump().get("behaviour") == script:
                    yield ("behaviour", *path), message
                else:
                    yield (), f"in the script of {step.action.server}: {dotted(path)}: {message}"
            return
