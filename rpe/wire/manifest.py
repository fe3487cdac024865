"""The codec between Manifest and PipelineManifest.

The contract has no field for `is_output_node`, nor for what a manifest's JSON form may
have beside the known fields: these do not travel on this wire.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rpe.data.base import thaw
from rpe.data.json_value import dump_json, parse_json
from rpe.errors import DataValidationError, ManifestInvalid
from rpe.manifest.model import Capabilities, DataTypeHint, Manifest, RuntimeHint
from rpe.wire.generated.remotemedia.v1 import common_pb2, execution_pb2
from rpe.wire.generated.remotemedia.v1.execution_pb2 import NodeManifest, PipelineManifest

__all__ = ["decode_manifest", "encode_manifest"]

_RUNTIMES = {hint: execution_pb2.RuntimeHint.Value(f"RUNTIME_HINT_{hint.name}") for hint in RuntimeHint}
_DATA_TYPES = {hint: common_pb2.DataTypeHint.Value(f"DATA_TYPE_HINT_{hint.name}") for hint in DataTypeHint}
_RUNTIME_NAMES = {int(number): hint.value for hint, number in _RUNTIMES.items()}
_DATA_TYPE_NAMES = {int(number): hint.value for hint, number in _DATA_TYPES.items()}


def encode_manifest(manifest: Manifest) -> PipelineManifest:
    """The message of a manifest, built once for each: copy it, do not change it."""
    return manifest.form("protobuf", _build)


def _build(manifest: Manifest) -> PipelineManifest:
    message = PipelineManifest(version=manifest.version)
    message.metadata.name = manifest.name
    message.metadata.description = manifest.description
    message.metadata.created_at = manifest.created_at
    for node in manifest.nodes:
        written = message.nodes.add(
            id=node.id,
            node_type=node.node_type,
            params=dump_json(thaw(node.params), f"{node.id}.params"),
            is_streaming=node.is_streaming,
            host=node.host,
            input_types=[_DATA_TYPES[hint] for hint in node.input_types],
            output_types=[_DATA_TYPES[hint] for hint in node.output_types],
        )
        if node.runtime_hint is not None:
            written.runtime_hint = _RUNTIMES[node.runtime_hint]
        if node.capabilities is not None:
            _write_capabilities(node.capabilities, written)
    for connection in manifest.connections:
        # `from` is a keyword of Python
        message.connections.add(**{"from": connection.from_, "to": connection.to})
    return message


def _write_capabilities(needs: Capabilities, node: NodeManifest) -> None:
    written = node.capabilities
    written.memory_gb = needs.memory_gb
    if needs.gpu is not None:
        written.gpu.type = needs.gpu.type
        written.gpu.min_memory_gb = needs.gpu.min_memory_gb
        written.gpu.required = needs.gpu.required
    if needs.cpu is not None:
        written.cpu.cores = needs.cpu.cores
        written.cpu.arch = needs.cpu.arch


def decode_manifest(message: PipelineManifest) -> Manifest:
    """The manifest of a message. Raises ManifestInvalid with every problem in it."""
    problems: list[str] = []
    form = {
        "version": message.version,
        "metadata": {
            "name": message.metadata.name,
            "description": message.metadata.description,
            "created_at": message.metadata.created_at,
        },
        "nodes": [_read_node(f"nodes[{i}]", node, problems) for i, node in enumerate(message.nodes)],
        "connections": [
            {"from": getattr(connection, "from"), "to": connection.to} for connection in message.connections
        ],
    }
    try:
        manifest = Manifest.from_dict(form)
    except ManifestInvalid as error:
        problems.extend(error.problems)
    if problems:
        raise ManifestInvalid("the manifest is not valid", problems=problems)
    return manifest


def _read_node(where: str, node: NodeManifest, problems: list[str]) -> dict[str, Any]:
    params: Any = {}
    if node.params:
        try:
            params = parse_json(node.params, f"{where}.params")
        except DataValidationError as error:
            problems.append(error.message)
    form: dict[str, Any] = {
        "id": node.id,
        "node_type": node.node_type,
        "params": params,
        "is_streaming": node.is_streaming,
        "host": node.host,
        "input_types": _names(node.input_types),
        "output_types": _names(node.output_types),
    }
    if node.runtime_hint:
        form["runtime_hint"] = _RUNTIME_NAMES.get(node.runtime_hint, node.runtime_hint)
    if node.HasField("capabilities"):
        needs = node.capabilities
        form["capabilities"] = {"memory_gb": needs.memory_gb}
        if needs.HasField("gpu"):
            gpu = needs.gpu
            form["capabilities"]["gpu"] = {
                "type": gpu.type,
                "min_memory_gb": gpu.min_memory_gb,
                "required": gpu.required,
            }
        if needs.HasField("cpu"):
            form["capabilities"]["cpu"] = {"cores": needs.cpu.cores, "arch": needs.cpu.arch}
    return form


def _names(numbers: Iterable[int]) -> list[Any]:
    """The hints of those numbers; "not specified" says nothing, and an unknown number stays one."""
    return [_DATA_TYPE_NAMES.get(number, number) for number in numbers if number]
