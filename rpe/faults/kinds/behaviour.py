"""behaviour: a server turns bad by its own script."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from rpe.faults.actions import SetBehaviour
from rpe.faults.kinds.base import ConstantFault

__all__ = ["ChangeBehaviour"]


class ChangeBehaviour(ConstantFault):
    """The scripted server follows `behaviour` instead of its own script; healing gives that back.

    The settings are those of a server in the scenario; whoever reads the scenario checks them.
    """

    behaviour: dict[str, Any] = Field(min_length=1, repr=False)

    def applied_to(self, server: str) -> tuple[SetBehaviour, ...]:
        """Change the script."""
        return (SetBehaviour(server, self.behaviour),)
