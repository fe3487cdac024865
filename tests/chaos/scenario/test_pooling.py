"""Scenarios whose pipeline runs in the client: pools, servers and remote nodes fit together."""

from __future__ import annotations

import pytest

from rpe.chaos.scenario.errors import ScenarioError
from rpe.chaos.scenario.loading import parse
from rpe.chaos.scenario.pooling import wires

GOOD = """\
name: two-pools
proves: That something of a kind holds for a pipeline.
matrix: {transport: [http]}
servers: {a: {}, b: {token: t}, c: {}}
pools:
  first: {servers: [a, b]}
  second: {servers: [c], transport: grpc, tls: true}
manifest:
  version: v1
  nodes:
    - {id: one, node_type: RemotePipelineNode, params: {pool: first, manifest: {}}}
    - {id: here, node_type: PassThrough}
    - {id: two, node_type: RemotePipeline, params: {pool: second, manifest: {}}}
workload: {kind: unary, input: recordings, rate_per_s: 1}
duration_s: 2
faults: [{name: bad, at_s: 0.5, for_s: 0.5, latency: {on: [a], latency_s: 0.1}}]
"""


def test_each_server_speaks_the_wire_of_its_pool() -> None:
    assert wires(parse(GOOD), "http") == {"a": "http", "b": "http", "c": "grpc"}


def test_without_pools_all_servers_speak_the_wire_of_the_cell() -> None:
    text = GOOD[: GOOD.index("\npools") + 1] + GOOD[GOOD.index("workload") :]
    assert set(wires(parse(text), "webrtc").values()) == {"webrtc"}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("[a, b]", "[a, b, z]", "there is no server 'z'"),
        ("[a, b]", "[a]", "servers.b: it is in no pool"),
        ("[c], transport", "[c, a], transport", "'a' is in the pool 'first' already"),
        ("pool: first", "pool: third", "pool must name one of the pools: first, second"),
        ("params: {pool: first, manifest: {}}", "params: 3", "pool must name one of the pools"),
        ("pool: first,", "pool: second,", "pools.first: no remote node of the manifest names it"),
        ("pool: first,", "pool: first, endpoints: [x],", "endpoints: is what the pool 'first' stands for"),
        ("pool: first,", "pool: first, fallback: [{pool: third}],", "fallback[0]: pool must name one of"),
        ("pool: first,", "pool: first, auth_token: x,", "auth_token: is what the pool 'first' stands for"),
        ("transport: grpc, tls", "transport: webrtc, tls", "no fault could act on webrtc behind TLS"),
        ("input: recordings", "input: speech", "is given whole recordings"),
        ("kind: unary, input: recordings, rate_per_s: 1", "kind: stream, sessions: 1", "whole recordings"),
        ("manifest:\n  version", "other: 1\nmanifest:\n  version", "other: unknown key"),
    ],
)
def test_what_does_not_fit_is_told(old: str, new: str, told: str) -> None:
    assert GOOD.count(old) == 1
    with pytest.raises(ScenarioError) as caught:
        parse(GOOD.replace(old, new), "x.yaml")
    assert told in str(caught.value)


def test_a_pipeline_in_the_client_is_a_whole_manifest() -> None:
    text = GOOD[: GOOD.index("manifest")] + "manifest: echo\n" + GOOD[GOOD.index("workload") :]
    with pytest.raises(ScenarioError, match="needs a whole manifest"):
        parse(text)


def test_a_fault_must_suit_the_wire_of_its_own_server() -> None:
    text = GOOD.replace("latency: {on: [a], latency_s: 0.1}", "packet_loss: {on: [c], rate: 0.5}")
    with pytest.raises(ScenarioError, match="packet_loss cannot act on grpc"):
        parse(text)
    suited = text.replace("transport: grpc, tls: true", "transport: webrtc")
    assert parse(suited).pools["second"].transport == "webrtc"
