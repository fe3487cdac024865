"""Whether the faults of a scenario can act on the wire of a cell.

Packets can be lost one by one only where data travels in datagrams; and where it does,
there is no stream of bytes to cut into slices or to reset. A cell whose fault could not
act would prove nothing, so it is refused before anything runs.
"""

from __future__ import annotations

from random import Random

from rpe.chaos.scenario.model import Scenario
from rpe.chaos.scenario.pooling import wires
from rpe.chaos.scenario.timing import resolve_spans
from rpe.errors import ConfigurationError
from rpe.faults.actions import has_effect
from rpe.faults.kinds import FaultContext
from rpe.lined_yaml import Path
from rpe.transport.registry import get_transport

__all__ = ["carries_datagrams", "misplaced_faults"]


def carries_datagrams(transport: str) -> bool:
    """Say whether a wire carries data in datagrams beside its connection. Raises UnknownTransport."""
    # Plugins of other packages may be older than the question.
    return bool(getattr(get_transport(transport), "datagrams", False))


def misplaced_faults(scenario: Scenario, transport: str) -> list[tuple[Path, str]]:
    """Return every fault that cannot act on a wire. A wire that nobody knows is told elsewhere."""
    chosen = wires(scenario, transport)
    try:
        datagrams = {server: carries_datagrams(wire) for server, wire in chosen.items()}
    except ConfigurationError:
        return []
    spans, _ = resolve_spans(scenario)
    found: list[tuple[Path, str]] = []
    for position, fault in enumerate(scenario.faults):
        span = spans.get(fault.name)
        context = FaultContext(span.length_s if span else 1.0, Random(0))
        steps = fault.settings.actions(context)
        for server in dict.fromkeys(step.action.server for step in steps):
            actions = [step.action for step in steps if step.action.server == server]
            is_datagrams = datagrams.get(server, False)
            if all(has_effect(action, datagrams=is_datagrams) for action in actions):
                continue
            reason = (
                "whose data travels in datagrams, not in a stream of bytes"
                if is_datagrams
                else "whose data travels in a stream of bytes, not in datagrams"
            )
            wire = chosen.get(server, transport)
            found.append((("faults", position, fault.kind), f"{fault.kind} cannot act on {wire}, {reason}"))
            break
    return found
