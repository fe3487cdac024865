"""From the messages of a caller to what a handler is asked."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from rpe.data import RuntimeData
from rpe.errors import DataValidationError
from rpe.manifest.model import Manifest
from rpe.transport.serving import ReceivedChunk
from rpe.wire.generated.remotemedia.v1 import common_pb2, execution_pb2, streaming_pb2
from rpe.wire.manifest import decode_manifest
from rpe.wire.protobuf import decode

__all__ = ["read_chunk", "read_pipeline"]


def read_pipeline(
    manifest: execution_pb2.PipelineManifest, inputs: Mapping[str, common_pb2.DataBuffer]
) -> tuple[Manifest, dict[str, RuntimeData]]:
    """Read a manifest and its inputs. Raises ManifestInvalid or DataValidationError."""
    return _manifest(manifest.SerializeToString()), {name: decode(buffer) for name, buffer in inputs.items()}


@functools.lru_cache(maxsize=64)
def _manifest(payload: bytes) -> Manifest:
    """Read a manifest. Callers send the same one with each call, and it does not change."""
    return decode_manifest(execution_pb2.PipelineManifest.FromString(payload))


def read_chunk(request: streaming_pb2.StreamRequest) -> ReceivedChunk:
    """Read a chunk, also of the deprecated kind for audio alone.

    Raises DataValidationError where the message is no chunk, has not exactly one of
    buffer and named_buffers, or carries data that breaks its contract.
    """
    kind = request.WhichOneof("request")
    if kind == "audio_chunk":
        audio = request.audio_chunk
        data = decode(common_pb2.DataBuffer(audio=audio.buffer))
        return ReceivedChunk(audio.node_id, data, audio.sequence, audio.timestamp_ms)
    if kind != "data_chunk":
        raise DataValidationError(f"{kind or 'nothing'} came where a chunk was due", field="request")
    chunk = request.data_chunk
    if chunk.HasField("buffer") == bool(chunk.named_buffers):
        raise DataValidationError("must have exactly one of buffer and named_buffers", field="data_chunk")
    if chunk.named_buffers:
        named = {name: decode(buffer) for name, buffer in chunk.named_buffers.items()}
        return ReceivedChunk(chunk.node_id, named, chunk.sequence, chunk.timestamp_ms)
    return ReceivedChunk(chunk.node_id, decode(chunk.buffer), chunk.sequence, chunk.timestamp_ms)
