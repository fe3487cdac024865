"""From what a caller sends in a session to its messages."""

from __future__ import annotations

from collections.abc import Mapping

from rpe.data import RuntimeData
from rpe.wire.generated.remotemedia.v1 import streaming_pb2
from rpe.wire.protobuf import encode

__all__ = ["chunk_bytes"]


def chunk_bytes(
    data: RuntimeData | Mapping[str, RuntimeData], *, node_id: str, sequence: int, timestamp_ms: int
) -> bytes:
    """Return the StreamRequest of a chunk. Raises DataValidationError for data that cannot travel."""
    chunk = streaming_pb2.DataChunk(node_id=node_id, sequence=sequence, timestamp_ms=timestamp_ms)
    if isinstance(data, Mapping):
        for name, value in data.items():
            chunk.named_buffers[name].CopyFrom(encode(value))
    else:
        chunk.buffer.CopyFrom(encode(data))
    return streaming_pb2.StreamRequest(data_chunk=chunk).SerializeToString()
