from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpe.errors import ManifestInvalid
from rpe.manifest.model import (
    Capabilities,
    Connection,
    CpuRequirement,
    DataTypeHint,
    GpuRequirement,
    Manifest,
    Node,
    RuntimeHint,
)
from rpe.wire.generated.remotemedia.v1 import common_pb2
from rpe.wire.generated.remotemedia.v1 import execution_pb2 as pb
from rpe.wire.manifest import decode_manifest, encode_manifest

FULL = Manifest(
    name="voice",
    description="speech to speech",
    created_at="2025-01-01T00:00:00Z",
    nodes=(
        Node(
            "vad",
            "SileroVAD",
            {"threshold": 0.5, "bands": [1, 2]},
            is_streaming=True,
            capabilities=Capabilities(GpuRequirement("cuda", 4.0, True), CpuRequirement(2, "x86_64"), 1.5),
            host="gpu-1",
            runtime_hint=RuntimeHint.CPYTHON_WASM,
            input_types=(DataTypeHint.AUDIO, DataTypeHint.ANY),
            output_types=(DataTypeHint.JSON,),
        ),
        Node("tts", "TTS"),
    ),
    connections=(Connection("vad", "tts"),),
)


def test_a_manifest_on_the_wire() -> None:
    message = encode_manifest(FULL)
    assert (message.version, message.metadata.name) == ("v1", "voice")
    vad, tts = message.nodes
    assert vad.params == '{"threshold":0.5,"bands":[1,2]}'
    assert vad.runtime_hint == pb.RUNTIME_HINT_CPYTHON_WASM
    assert list(vad.input_types) == [1, 7]
    assert vad.capabilities.gpu.required and vad.capabilities.cpu.cores == 2
    assert tts.params == "{}"
    assert not tts.HasField("capabilities")
    assert [(getattr(c, "from"), c.to) for c in message.connections] == [("vad", "tts")]


def test_a_manifest_comes_back_as_it_was_sent() -> None:
    wire = encode_manifest(FULL).SerializeToString()
    assert decode_manifest(pb.PipelineManifest.FromString(wire)) == FULL


def test_the_message_is_built_once() -> None:
    manifest = Manifest.single("echo", node_type="Echo")
    assert encode_manifest(manifest) is encode_manifest(manifest)
    equal = Manifest.single("echo", node_type="Echo")
    assert encode_manifest(equal) is not encode_manifest(manifest)
    assert equal == manifest  # what is kept is no part of the content


def test_every_problem_of_a_message_is_listed() -> None:
    message = pb.PipelineManifest(version="v9")
    message.nodes.add(id="a", node_type="", params="{")
    message.nodes.add(id="a", node_type="X", params="[]", runtime_hint=pb.RUNTIME_HINT_AUTO)
    message.nodes[1].input_types.append(common_pb2.DATA_TYPE_HINT_AUDIO)
    wire = message.SerializeToString()
    # an enum value of a later version: hint 4 becomes 9, and input type 1 becomes 99
    wire = wire.replace(b"\x38\x04", b"\x38\x09").replace(b"\x42\x01\x01", b"\x42\x01\x63")
    with pytest.raises(ManifestInvalid) as caught:
        decode_manifest(pb.PipelineManifest.FromString(wire))
    told = "\n".join(caught.value.problems)
    for part in ("v9", "nodes[0].params", "nodes[0].node_type", "nodes[1].params", "2 nodes have the id"):
        assert part in told
    assert "nodes[1].runtime_hint 9" in told
    assert "nodes[1].input_types" in told


NAMES = st.text("abcdef", min_size=1, max_size=5)


@settings(deadline=None)
@given(st.lists(NAMES, min_size=1, max_size=5, unique=True), st.data())
def test_any_pipeline_survives_both_wires(ids: list[str], choice: st.DataObject) -> None:
    values = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers(), max_size=3)
    params = st.dictionaries(st.text(max_size=5), values, max_size=3)
    nodes = tuple(Node(node_id, "T", choice.draw(params)) for node_id in ids)
    ends = st.sampled_from(ids)
    connections = tuple(choice.draw(st.lists(st.builds(Connection, ends, ends), max_size=4)))
    manifest = Manifest(name=choice.draw(NAMES), nodes=nodes, connections=connections)
    wire = encode_manifest(manifest).SerializeToString()
    assert decode_manifest(pb.PipelineManifest.FromString(wire)) == manifest
    assert Manifest.from_json(manifest.to_json()) == manifest


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_message_gives_a_manifest_or_the_one_error(raw: bytes) -> None:
    message = pb.PipelineManifest(version="v1")
    message.nodes.add(id="a", node_type="b")
    try:
        message.MergeFromString(raw)
    except ValueError:
        return
    except Exception as error:  # the parser's own refusal
        assert type(error).__name__ == "DecodeError"
        return
    try:
        decode_manifest(message)
    except ManifestInvalid as error:
        assert error.problems
