"""The control API's way to fakes of definitions: their rules are the definitions themselves."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rpe.errors import ConfigurationError
from rpe.fakes.control.call_forms import call_form, call_misses
from rpe.fakes.control.controlled import Bell, JournalQuery, Verdict, mapping
from rpe.fakes.control.faults import Faults, OpenFault, take_lasting
from rpe.fakes.control.metrics import Metrics
from rpe.fakes.control.rewriting import combined, planned, read_rules
from rpe.fakes.control.temporary import FaultRule, with_rules
from rpe.fakes.control.verifying import judge, read_expectation
from rpe.fakes.definition.calls import Call
from rpe.fakes.definition.descriptors import Contracts
from rpe.fakes.definition.fake import ProtoFake
from rpe.fakes.definition.loading import Definitions
from rpe.fakes.definition.plan import MethodPlan, ServicePlan
from rpe.fakes.health import SERVING_STATUSES

__all__ = ["ControlledDefinitions"]

KEPT_CALLS = 1_000
_KINDS = ("ended", "running")


class ControlledDefinitions:
    """Fills `rpe.fakes.control.controlled.Controlled` for a `ProtoFake`.

    An open fault is a rule that stands before the others of its method. Opening one begins the
    sequences of that method anew; its healing changes nothing else.

    Arguments:
        fake: what is controlled.
        endpoints: where it listens, by wire.
        forms: its definitions as plain data, by service, for `GET /rules`.
        folder: what paths in definitions that come over the API are counted from.
    """

    def __init__(
        self,
        fake: ProtoFake,
        endpoints: Callable[[], Mapping[str, str]],
        forms: Mapping[str, Any] | None = None,
        folder: Path = Path(),
    ) -> None:
        self.metrics = Metrics()
        self.faults = Faults(fake.clock, lambda: None, lambda: self.metrics.not_applied("unused"))
        self.metrics.count_open(lambda: len(self.faults.open))
        self.news = Bell()
        self._fake = fake
        self._endpoints = endpoints
        self._forms = dict(forms or {})
        self._folder = folder
        self._base = fake.definitions
        self._ended: deque[tuple[int, Call]] = deque(maxlen=KEPT_CALLS)
        self._running: dict[Call, None] = {}
        self._calls = 0
        self._overlaid: dict[tuple[str, str], _Overlaid] = {}
        fake.observe(self)

    def about(self) -> Mapping[str, Any]:
        """Return what is served, and where."""
        return {
            "kind": "services",
            "services": list(self._fake.services),
            "endpoints": dict(self._endpoints()),
        }

    def rules(self) -> Any:
        """Return the definitions that hold, as a list of plain data; of those made in Python the methods."""
        return [
            self._forms.get(name)
            or {
                "service": name,
                "methods": {method: f"{len(plan.rules)} rules" for method, plan in methods.items()},
            }
            for name, methods in ((name, service.methods) for name, service in self._base.services.items())
        ]

    async def put_rules(self, form: Any) -> None:
        """Serve these definitions instead: one, or a list of them."""
        self._change(form, {}, {})

    async def patch_rules(self, form: Any) -> None:
        """Serve these definitions in the place of those of the same services, or beside the others."""
        self._change(form, self._base.services, self._forms)

    def adopt(self, definitions: Definitions, forms: Mapping[str, Any]) -> None:
        """Serve other definitions; open faults stay open where their method is still there.

        Raises ConfigurationError where they cannot be used; nothing changes then.
        """
        self._serve(definitions)
        self._base, self._forms = definitions, dict(forms)

    def fault(self, form: Any) -> OpenFault:
        """Put a rule `{method, when, answer}` before the others, for `for_s` seconds or `calls` calls."""
        given = mapping(form, "a fault")
        lasting = take_lasting(given)
        method = given.pop("method", None)
        if not isinstance(method, str) or given.keys() - {"when", "answer"} or "answer" not in given:
            raise ConfigurationError(
                "a fault is {method, when, answer, for_s, calls}; method and answer are needed"
            )
        service, name = self._named(method)
        rule = FaultRule(service, name, given)
        fault = self.faults.new(rule, {"method": f"{service}/{name}", **given}, lasting)
        rule.plan(self._base.contracts, self._folder)  # told what is wrong
        self.faults.add(fault)
        self._serve(self._base)
        return fault

    def entries(self, query: JournalQuery) -> list[Mapping[str, Any]]:
        """Return calls: those that have ended, in the order of their ends, or with `kind` those that run."""
        if query.kind not in (None, *_KINDS):
            raise ConfigurationError(f"kind: it is one of {', '.join(_KINDS)}")
        service, name = self._fake.named(query.method)
        if query.kind == "running":
            found = [(0, call) for call in self._running]
        else:
            found = [(number, call) for number, call in self._ended if number > query.since]
        fitting = [
            (number, call)
            for number, call in found
            if service in (None, call.service) and name in (None, call.method)
        ]
        return [{"number": number, **call_form(call)} for number, call in fitting[: query.limit]]

    def forget(self) -> None:
        """Show and judge by none of the calls that have ended until now."""
        self._ended.clear()

    def reset(self) -> None:
        """Forget all calls, their counts, the places in sequences and the states of scenarios."""
        self._fake.reset()
        self._ended.clear()

    def verify(self, form: Any) -> Verdict:
        """Judge by the calls that have ended: their requests, one of which has to fulfil all of `fields`."""
        expectation = read_expectation(form, ("method", "fields", "metadata", "code"))
        if expectation.method is None:
            raise ConfigurationError("an expectation names a method")
        service, name = self._named(expectation.method)
        misses = call_misses(expectation, self._base.services[service].methods[name].request)
        calls = [call for _, call in self._ended if (call.service, call.method) == (service, name)]
        return judge(expectation, calls, misses, lambda call: f"call {call.number}")

    def scenarios(self) -> Mapping[str, str]:
        """Return the states of the scenarios that rules speak of."""
        return self._fake.scenarios.states()

    def set_scenarios(self, states: Mapping[str, str]) -> None:
        """Put scenarios into states. Raises ConfigurationError for one that no rule speaks of."""
        known = self.scenarios()
        if unknown := states.keys() - known.keys():
            raise ConfigurationError(
                f"no rule speaks of the scenario {', '.join(sorted(unknown))}",
                hint=f"they speak of {', '.join(sorted(known)) or 'none'}",
            )
        for name, state in states.items():
            self._fake.scenarios.set(name, state)

    def health(self) -> Mapping[str, str]:
        """Return what health checks are told, by service."""
        return self._fake.health.statuses

    def health_statuses(self) -> tuple[str, ...]:
        """Return the statuses of the health service."""
        return tuple(SERVING_STATUSES)

    def set_health(self, service: str | None, status: str) -> None:
        """Tell health checks something else."""
        self._fake.set_health(service, status)

    def began(self, call: Call) -> None:
        """Note a call that has come in."""
        self._running[call] = None
        self.metrics.call_began(f"{call.service}/{call.method}")

    def ended(self, call: Call) -> None:
        """Note a call that has ended."""
        method = f"{call.service}/{call.method}"
        self._running.pop(call, None)
        self._calls += 1
        self._ended.append((self._calls, call))
        self.metrics.call_ended(method, call.code, (call.ended_s or call.started_s) - call.started_s)
        self.metrics.messages(method, "in", len(call.request_messages))
        self.metrics.messages(method, "out", len(call.answer_messages))
        self.news.ring()

    def _named(self, method: str) -> tuple[str, str]:
        """Return the service and the name of a method. Raises ConfigurationError where there are several."""
        service, name = self._fake.named(method)
        having = [known for known, plan in self._base.services.items() if name in plan.methods]
        if service is None and len(having) > 1:
            raise ConfigurationError(f"several services have {name}: write service/{name}")
        return service or having[0], str(name)

    def _change(self, form: Any, services: Mapping[str, ServicePlan], forms: Mapping[str, Any]) -> None:
        read = read_rules(form, self._base.contracts, self._folder)
        plans, contracts = dict(services), [self._base.contracts] if services else []
        for name, (given, definitions) in read.items():
            if definitions is None:
                plans[name] = planned(given, self._base.contracts, self._folder)
                if self._base.contracts not in contracts:
                    contracts.insert(0, self._base.contracts)
            else:
                plans[name] = definitions.services[name]
                contracts.append(definitions.contracts)
        self.adopt(
            combined(contracts, plans), {**forms, **{name: given for name, (given, _) in read.items()}}
        )

    def _serve(self, definitions: Definitions) -> None:
        services: dict[str, ServicePlan] = {}
        for name, service in definitions.services.items():
            methods = {
                method: self._with_faults(definitions.contracts, name, plan)
                for method, plan in service.methods.items()
            }
            services[name] = ServicePlan(name, methods)
        self._fake.replace(Definitions(definitions.contracts, services))

    def _with_faults(self, contracts: Contracts, service: str, plan: MethodPlan) -> MethodPlan:
        key = (service, plan.name)
        faults = {fault for fault in self.faults.open if (fault.content.service, fault.content.method) == key}
        known = self._overlaid.get(key)
        if known is not None and known.base is plan and faults <= known.faults:
            return known.plan  # rules of faults that have healed fit no call: no need to begin anew
        self._overlaid.pop(key, None)
        alone: list[tuple[OpenFault, MethodPlan]] = []
        for fault in sorted(faults, key=lambda fault: int(fault.id)):
            try:
                alone.append((fault, fault.content.plan(contracts, self._folder)))
            except ConfigurationError:  # the contract is another by now
                self.faults.heal(fault)
        if not alone:
            return plan
        laid = with_rules(plan, alone, self._meet)
        self._overlaid[key] = _Overlaid(plan, frozenset(faults), laid)
        return laid

    def _meet(self, fault: OpenFault) -> bool:
        """Let a fault answer a call, where it is open still."""
        if fault.healed or fault.spent:
            return False
        fault.met += 1
        self.metrics.fault(fault.content.kind)
        if fault.spent:
            asyncio.get_running_loop().call_soon(self.faults.heal, fault)
        return True


@dataclass(frozen=True, slots=True)
class _Overlaid:
    """A method as it is served while, and after, faults were open, and what it is without them."""

    base: MethodPlan
    faults: frozenset[OpenFault]
    plan: MethodPlan
