"""Plain gRPC stubs and messages: how a client that is not ours talks to a server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc

from rpe.wire.generated.remotemedia.v1 import (
    common_pb2,
    execution_pb2,
    execution_pb2_grpc,
    streaming_pb2,
    streaming_pb2_grpc,
)

__all__ = [
    "CANCEL",
    "CLOSE",
    "Raw",
    "audio",
    "chunk",
    "execute_request",
    "init",
    "manifest",
    "raw",
    "read_all",
    "text",
]

EXECUTE = "/remotemedia.v1.PipelineExecutionService/ExecutePipeline"
PATIENCE_S = 10.0
STREAM = "/remotemedia.v1.StreamingPipelineService/StreamPipeline"


class Raw:
    """The stubs of one channel, and its calls with bytes in and out."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        execution: Any = execution_pb2_grpc.PipelineExecutionServiceStub(channel)
        streaming: Any = streaming_pb2_grpc.StreamingPipelineServiceStub(channel)
        self.execute = execution.ExecutePipeline
        self.version = execution.GetVersion
        self._stream = streaming.StreamPipeline
        self.execute_bytes: Any = channel.unary_unary(EXECUTE)
        self.stream_bytes: Any = channel.stream_stream(STREAM)

    async def echo(self, said: str = "hi", **options: Any) -> str:
        """Run the one-node pipeline on a text, and return the text that came back."""
        options.setdefault("timeout", 5)
        response = await self.execute(execute_request(text(said)), **options)
        assert response.WhichOneof("outcome") == "result", response
        return str(response.result.data_outputs["output"].text.text_data.decode())

    def stream(self, **options: Any) -> Any:
        """Begin a streaming call that ends by itself where the server forgets it."""
        options.setdefault("timeout", PATIENCE_S)
        return self._stream(**options)

    async def session(self, *nodes: str, **options: Any) -> Any:
        """Open a session and return its call, once the server is ready."""
        call = self.stream(**options)
        await call.write(init(*nodes))
        assert (await call.read()).WhichOneof("response") == "ready"
        return call


@asynccontextmanager
async def raw(endpoint: str, credentials: grpc.ChannelCredentials | None = None) -> AsyncIterator[Raw]:
    """Connect to a server."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.initial_reconnect_backoff_ms", 20)]
    if credentials is None:
        channel = grpc.aio.insecure_channel(endpoint, options=options)
    else:
        channel = grpc.aio.secure_channel(endpoint, credentials, options=options)
    async with channel:
        yield Raw(channel)


async def read_all(call: Any) -> list[Any]:
    """Read what comes until the stream ends; its status is not looked at."""
    messages = []
    while (message := await call.read()) is not grpc.aio.EOF:
        messages.append(message)
    return messages


def text(said: str) -> common_pb2.DataBuffer:
    return common_pb2.DataBuffer(text=common_pb2.TextBuffer(text_data=said.encode(), encoding="utf-8"))


def audio(samples: bytes, count: int, rate: int = 16_000, channels: int = 1) -> common_pb2.DataBuffer:
    buffer = common_pb2.AudioBuffer(
        samples=samples,
        sample_rate=rate,
        channels=channels,
        format=common_pb2.AUDIO_FORMAT_F32,
        num_samples=count,
    )
    return common_pb2.DataBuffer(audio=buffer)


def manifest(*nodes: str, params: Sequence[str] = ()) -> execution_pb2.PipelineManifest:
    """A chain of nodes called n0, n1, ..., each of the named type."""
    message = execution_pb2.PipelineManifest(version="v1")
    for number, node_type in enumerate(nodes or ("Echo",)):
        node = message.nodes.add(id=f"n{number}", node_type=node_type)
        if number < len(params):
            node.params = params[number]
        if number:
            message.connections.add(**{"from": f"n{number - 1}", "to": f"n{number}"})
    return message


def execute_request(
    data: common_pb2.DataBuffer, *nodes: str, params: Sequence[str] = (), node_id: str = "n0"
) -> execution_pb2.ExecuteRequest:
    return execution_pb2.ExecuteRequest(
        manifest=manifest(*nodes, params=params), data_inputs={node_id: data}, client_version="v1"
    )


def init(*nodes: str) -> streaming_pb2.StreamRequest:
    return streaming_pb2.StreamRequest(
        init=streaming_pb2.StreamInit(manifest=manifest(*nodes), client_version="v1")
    )


def chunk(sequence: int, said: str = "hi", node_id: str = "n0") -> streaming_pb2.StreamRequest:
    data = streaming_pb2.DataChunk(node_id=node_id, sequence=sequence, buffer=text(said))
    return streaming_pb2.StreamRequest(data_chunk=data)


def _control(command: streaming_pb2.StreamControl.Command.ValueType) -> streaming_pb2.StreamRequest:
    return streaming_pb2.StreamRequest(control=streaming_pb2.StreamControl(command=command))


CLOSE = _control(streaming_pb2.StreamControl.COMMAND_CLOSE)
CANCEL = _control(streaming_pb2.StreamControl.COMMAND_CANCEL)
