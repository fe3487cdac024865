"""A session over a bare grpc.aio stub."""

from __future__ import annotations

from typing import Any, Self

import grpc
import numpy as np

from benchmarks.chunks import ECHO, SAMPLE_RATE, SAMPLES
from rpe.wire.generated.remotemedia.v1 import common_pb2, streaming_pb2, streaming_pb2_grpc
from rpe.wire.manifest import encode_manifest

__all__ = ["GrpcStream", "audio_chunk", "read_audio"]


def audio_chunk(sequence: int) -> streaming_pb2.StreamRequest:
    """The chunk as the protocol buffers have it."""
    audio = common_pb2.AudioBuffer(
        samples=SAMPLES.tobytes(),
        sample_rate=SAMPLE_RATE,
        channels=1,
        format=common_pb2.AUDIO_FORMAT_I16,
        num_samples=SAMPLES.size,
    )
    buffer = common_pb2.DataBuffer(audio=audio)
    return streaming_pb2.StreamRequest(
        data_chunk=streaming_pb2.DataChunk(node_id="echo", sequence=sequence, buffer=buffer)
    )


def read_audio(response: streaming_pb2.StreamResponse) -> int:
    """Take the samples out of a result; returns its sequence number."""
    result = response.result
    np.frombuffer(result.data_outputs["output"].audio.samples, np.int16)
    return int(result.sequence)


class GrpcStream:
    """One session, whose chunks are the 20 ms of audio."""

    def __init__(self, call: Any) -> None:
        self._call = call

    @classmethod
    async def open(cls, channel: grpc.aio.Channel) -> Self:
        stub: Any = streaming_pb2_grpc.StreamingPipelineServiceStub(channel)
        call = stub.StreamPipeline()
        init = streaming_pb2.StreamInit(manifest=encode_manifest(ECHO))
        await call.write(streaming_pb2.StreamRequest(init=init))
        await call.read()
        return cls(call)

    async def send(self, sequence: int) -> None:
        await self._call.write(audio_chunk(sequence))

    async def receive(self) -> int | None:
        response = await self._call.read()
        return None if response is grpc.aio.EOF else read_audio(response)

    async def finish(self) -> None:
        await self._call.done_writing()
