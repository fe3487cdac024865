"""Rules that stand before the others of a method for a while: the faults of fakes of definitions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from google.protobuf.message import Message

from rpe.fakes.control.faults import OpenFault
from rpe.fakes.control.rewriting import planned
from rpe.fakes.definition.descriptors import Contracts
from rpe.fakes.definition.functions import CallInfo
from rpe.fakes.definition.matching import Matcher, Metadata
from rpe.fakes.definition.plan import MethodPlan, RulePlan

__all__ = ["FaultRule", "with_rules"]

_KINDS = ("error", "message", "messages", "each", "each_rules", "script", "sequence", "call")


@dataclass(frozen=True, slots=True)
class FaultRule:
    """What a fault is here: a rule of a method, as plain data."""

    service: str
    method: str
    form: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """The part that says what the answer is."""
        answer = self.form["answer"]
        return next((name for name in answer if name in _KINDS), "answer")

    def plan(self, contracts: Contracts, folder: Path) -> MethodPlan:
        """Return the method with this rule alone. Raises ConfigurationError where it does not fit."""
        form = {"service": self.service, "methods": {self.method: [dict(self.form)]}}
        return planned(form, contracts, folder).methods[self.method]


@dataclass(frozen=True, slots=True)
class _WhileOpen(Matcher):
    """Fits what another matcher does, as long as `meet` says so."""

    meet: Callable[[], bool] = bool

    def miss(
        self, requests: Sequence[Message], metadata: Metadata, call: int, info: CallInfo | None = None
    ) -> str | None:
        missed = Matcher.miss(self, requests, metadata, call, info)
        return "the fault has healed" if missed is None and not self.meet() else missed


def with_rules(
    plan: MethodPlan, faults: Sequence[tuple[OpenFault, MethodPlan]], meet: Callable[[OpenFault], bool]
) -> MethodPlan:
    """Return a method with the rules of faults before its own, the newest fault first.

    `meet` is asked when such a rule fits a call and would answer it; with False the rule is passed by.
    """
    rules = [_while_open(alone.rules[0], fault, meet) for fault, alone in reversed(faults)]
    return replace(
        plan,
        rules=(*rules, *plan.rules),
        needs_request=plan.needs_request or any(alone.needs_request for _, alone in faults),
        scenarios=tuple(
            dict.fromkeys([*plan.scenarios, *(s for _, alone in faults for s in alone.scenarios)])
        ),
    )


def _while_open(rule: RulePlan, fault: OpenFault, meet: Callable[[OpenFault], bool]) -> RulePlan:
    given = {part.name: getattr(rule.matcher, part.name) for part in fields(Matcher)}
    return replace(rule, matcher=_WhileOpen(**given, meet=lambda: meet(fault)))
