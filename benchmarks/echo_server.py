"""A plain grpc.aio echo server on several ports, nothing of rpe's serving side: the same for every arm."""

from __future__ import annotations

import asyncio
import os
import sys

import grpc

from benchmarks.harness import run_on
from rpe.wire.generated.remotemedia.v1 import (
    execution_pb2,
    execution_pb2_grpc,
    streaming_pb2,
    streaming_pb2_grpc,
)


class Execution(execution_pb2_grpc.PipelineExecutionServiceServicer):
    async def ExecutePipeline(self, request, context):  # type: ignore[no-untyped-def]  # noqa: N802
        response = execution_pb2.ExecuteResponse()
        for buffer in request.data_inputs.values():
            response.result.data_outputs["output"].CopyFrom(buffer)
        return response

    async def GetVersion(self, request, context):  # type: ignore[no-untyped-def]  # noqa: N802
        return execution_pb2.VersionResponse(compatible=True)


class Streaming(streaming_pb2_grpc.StreamingPipelineServiceServicer):
    async def StreamPipeline(self, requests, context):  # type: ignore[no-untyped-def]  # noqa: N802
        async for request in requests:
            kind = request.WhichOneof("request")
            if kind == "init":
                yield streaming_pb2.StreamResponse(ready=streaming_pb2.StreamReady(session_id="echo"))
            elif kind == "data_chunk":
                chunk = request.data_chunk
                result = streaming_pb2.ChunkResult(sequence=chunk.sequence)
                result.data_outputs["output"].CopyFrom(chunk.buffer)
                yield streaming_pb2.StreamResponse(result=result)
            elif kind == "control":
                yield streaming_pb2.StreamResponse(closed=streaming_pb2.StreamClosed())
                return


async def main(ports: int) -> None:
    servers = []
    addresses = []
    for _ in range(ports):
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        execution_pb2_grpc.add_PipelineExecutionServiceServicer_to_server(Execution(), server)
        streaming_pb2_grpc.add_StreamingPipelineServiceServicer_to_server(Streaming(), server)
        addresses.append(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
        await server.start()
        servers.append(server)
    print(*addresses, os.getpid(), flush=True)
    # The parent closes our input when it is done with us, also when it dies.
    await asyncio.to_thread(sys.stdin.read)
    for server in servers:
        await server.stop(0)


if __name__ == "__main__":
    run_on("".join(sys.argv[2:]), main(int(sys.argv[1])))
