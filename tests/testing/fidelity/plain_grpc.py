"""A pipeline server written by hand over the generated stubs: what a project would write for itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
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

__all__ = ["plain_grpc_server"]


def _wrong(manifest: Any) -> str:
    ids = {node.id for node in manifest.nodes}
    if not all(getattr(link, "from") in ids and link.to in ids for link in manifest.connections):
        return "a connection leads nowhere"
    return "" if all(node.node_type == "Mirror" for node in manifest.nodes) else "no such node type"


def _error(message: str) -> common_pb2.ErrorResponse:
    return common_pb2.ErrorResponse(error_type=common_pb2.ERROR_TYPE_VALIDATION, message=message)


class Execution(execution_pb2_grpc.PipelineExecutionServiceServicer):
    async def ExecutePipeline(self, request: Any, context: Any) -> Any:  # noqa: N802
        if not request.HasField("manifest"):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no manifest")
        response = execution_pb2.ExecuteResponse()
        if wrong := _wrong(request.manifest):
            response.error.CopyFrom(_error(wrong))
            return response
        response.result.status = common_pb2.EXECUTION_STATUS_SUCCESS
        for name, buffer in request.data_inputs.items():
            response.result.data_outputs[name].CopyFrom(buffer)
        return response

    async def GetVersion(self, request: Any, context: Any) -> Any:  # noqa: N802
        info = common_pb2.VersionInfo(protocol_version="v1", supported_node_types=["Mirror"])
        return execution_pb2.VersionResponse(version_info=info, compatible=True)


class Streaming(streaming_pb2_grpc.StreamingPipelineServiceServicer):
    def __init__(self) -> None:
        self.sessions = 0

    async def StreamPipeline(self, requests: Any, context: Any) -> Any:  # noqa: N802
        last = None
        async for request in requests:
            response = streaming_pb2.StreamResponse()
            kind = request.WhichOneof("request")
            if kind == "init" and not request.init.HasField("manifest"):
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no manifest")
            elif kind == "init":
                if wrong := _wrong(request.init.manifest):
                    response.error.CopyFrom(_error(wrong))
                    yield response
                    return
                self.sessions, last = self.sessions + 1, -1
                response.ready.session_id = f"session {self.sessions}"
                yield response
            elif kind == "control" and request.control.command == streaming_pb2.StreamControl.COMMAND_CANCEL:
                return
            elif kind == "control":
                break
            elif last is None or request.data_chunk.sequence <= last:
                response.error.CopyFrom(_error("out of order"))
                yield response
                return
            else:
                last = response.result.sequence = request.data_chunk.sequence
                response.result.data_outputs["mirror"].CopyFrom(request.data_chunk.buffer)
                yield response
        yield streaming_pb2.StreamResponse(closed=streaming_pb2.StreamClosed(reason="closed"))


@asynccontextmanager
async def plain_grpc_server() -> AsyncIterator[str]:
    """Serve on a free port of this machine while inside; gives the endpoint."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    add: Any = execution_pb2_grpc.add_PipelineExecutionServiceServicer_to_server
    add(Execution(), server)
    add = streaming_pb2_grpc.add_StreamingPipelineServiceServicer_to_server
    add(Streaming(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)
