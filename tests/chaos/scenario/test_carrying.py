"""Faults that cannot act on the wire of a cell are refused: where a scenario is read, and in a plan."""

from __future__ import annotations

import pytest

from rpe.chaos.plan import Plan
from rpe.chaos.scenario.carrying import carries_datagrams, misplaced_faults
from rpe.chaos.scenario.errors import ScenarioError
from rpe.chaos.scenario.loading import parse
from rpe.chaos.scenario.matrix import cells
from rpe.errors import UnknownTransport

TEXT = """\
name: lossy
proves: That something of a kind holds on some wire.
MATRIX
servers: {a: {}}
workload: {kind: unary, rate_per_s: 1}
duration_s: 2
faults:
  - {name: bad, at_s: 0.5, for_s: 0.5, FAULT}
"""

LOSS = "packet_loss: {on: [a], rate: 0.1}"
SLICER = "slicer: {on: [a], average_bytes: 10}"
FLAPPING = "flapping: {on: [a], schedule: {on_s: 0.1, off_s: 0.1}, fault: {packet_loss: {rate: 0.5}}}"
LATENCY = "latency: {on: [a], latency_s: 0.1}"


def text(fault: str, matrix: str) -> str:
    return TEXT.replace("FAULT", fault).replace("MATRIX", matrix)


def told(fault: str, matrix: str = "") -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        parse(text(fault, matrix), "x.yaml")
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("fault", [LOSS, FLAPPING, LATENCY])
def test_what_acts_on_datagrams_is_read_for_a_wire_that_has_some(fault: str) -> None:
    assert parse(text(fault, "matrix: {transport: [webrtc]}")).faults


@pytest.mark.parametrize("fault", [SLICER, LATENCY])
def test_what_acts_on_bytes_is_read_for_wires_of_bytes(fault: str) -> None:
    assert parse(text(fault, "matrix: {transport: [grpc, http]}")).faults
    assert parse(text(fault, "")).faults


def test_a_fault_on_datagrams_names_the_wire_that_has_none() -> None:
    reason = "whose data travels in a stream of bytes, not in datagrams"
    assert told(LOSS) == [f"x.yaml:8: faults[0].packet_loss: packet_loss cannot act on grpc, {reason}"]
    assert told(LOSS, "matrix: {transport: [webrtc, http]}") == [
        f"x.yaml:3: matrix.transport: packet_loss cannot act on http, {reason}"
    ]
    assert told(FLAPPING) == [f"x.yaml:8: faults[0].flapping: flapping cannot act on grpc, {reason}"]


def test_a_fault_on_bytes_names_the_wire_of_datagrams() -> None:
    reason = "whose data travels in datagrams, not in a stream of bytes"
    assert told(SLICER, "matrix: {transport: [grpc, webrtc]}") == [
        f"x.yaml:3: matrix.transport: slicer cannot act on webrtc, {reason}"
    ]


def test_a_wire_is_told_once_however_many_cells_it_has() -> None:
    matrix = "matrix: {transport: [grpc, webrtc], duration_s: [2, 3]}"
    assert len(told(LOSS, matrix)) == 1


def test_a_cell_that_was_made_otherwise_is_not_planned() -> None:
    scenario = parse(text(LOSS, "matrix: {transport: [webrtc]}"))
    (good,) = cells(scenario)
    assert Plan.draw(good, 1).faults[0].steps[0]["action"] == "SetImpairment"
    (bad,) = cells(scenario.model_copy(update={"matrix": {}}))
    with pytest.raises(ScenarioError, match="packet_loss cannot act on grpc"):
        Plan.draw(bad, 1)


def test_a_wire_that_nobody_knows_is_told_elsewhere() -> None:
    assert misplaced_faults(parse(text(LATENCY, "")), "pigeons") == []
    with pytest.raises(UnknownTransport):
        carries_datagrams("pigeons")
    assert [carries_datagrams(name) for name in ("grpc", "http", "webrtc")] == [False, False, True]
