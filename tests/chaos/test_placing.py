"""The pipeline of a client with the addresses and the credentials of one run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rpe.chaos.placing import Places
from rpe.chaos.scenario.loading import parse

TEXT = """\
name: placed
proves: That remote nodes are told where their pool is.
servers: {a: {token: of-a}, b: {token: of-a}, c: {}}
pools:
  first: {servers: [a, b], transport: http, tls: true}
  second: {servers: [c]}
manifest:
  version: v1
  nodes:
    - id: one
      node_type: RemotePipelineNode
      params: {pool: first, timeout_ms: 70, manifest: {version: v1, nodes: [{id: x, node_type: Echo}]}}
    - id: two
      node_type: RemotePipelineNode
      params: {pool: second, manifest: {version: v1, nodes: [{id: x, node_type: Echo}]}}
workload: {kind: unary, input: recordings, rate_per_s: 1}
duration_s: 2
faults: [{name: bad, at_s: 0.5, for_s: 0.5, latency: {on: [a], latency_s: 0.1}}]
"""


def params(places: Places) -> dict[str, Any]:
    manifest = places.manifest({"a": "127.0.0.1:1", "b": "127.0.0.1:2", "c": "127.0.0.1:3"})
    return {node.id: node.to_dict()["params"] for node in manifest.nodes}


def test_remote_nodes_get_wire_addresses_and_credentials(tmp_path: Path) -> None:
    places = Places.make(parse(TEXT), "webrtc", tmp_path)
    placed = params(places)
    assert placed["one"].pop("manifest")
    assert placed["one"] == {
        "timeout_ms": 70,
        "transport": "http",
        "endpoints": ["127.0.0.1:1", "127.0.0.1:2"],
        "tls": {"ca_file": str(tmp_path / "first.pem")},
        "auth_token_file": str(tmp_path / "first.token"),
    }
    assert placed["two"]["transport"] == "webrtc" and placed["two"]["endpoints"] == ["127.0.0.1:3"]
    assert not {"tls", "auth_token_file"} & set(placed["two"])
    assert "pool" in places.scenario.manifest["nodes"][0]["params"]  # type: ignore[index]  # left as it was


def test_each_pool_has_an_authority_of_its_own_and_no_key_is_written(tmp_path: Path) -> None:
    places = Places.make(parse(TEXT), "grpc", tmp_path)
    assert set(places.certificates) == {"a", "b"}
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"PRIVATE" not in written and b"CERTIFICATE" in written
    assert "PRIVATE" not in repr(places.certificates["a"])
