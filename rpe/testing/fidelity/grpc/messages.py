"""The messages of the two pipeline services, as the checks send and read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from rpe.data import RuntimeData, Text
from rpe.testing.fidelity.grpc.calls import call, parse
from rpe.testing.fidelity.grpc.http2 import Http2
from rpe.testing.fidelity.model import Violation
from rpe.testing.fidelity.samples import NODE, only_output, pipeline
from rpe.wire.generated.remotemedia.v1 import common_pb2, execution_pb2, streaming_pb2
from rpe.wire.manifest import encode_manifest
from rpe.wire.protobuf import decode, encode

__all__ = [
    "EXECUTE",
    "STREAM",
    "VERSION",
    "chunk",
    "control",
    "error_of",
    "execute",
    "execute_request",
    "init",
    "output_of",
    "read_outputs",
    "strange_pipeline",
]

_EXECUTION = "/remotemedia.v1.PipelineExecutionService"
EXECUTE = f"{_EXECUTION}/ExecutePipeline"
VERSION = f"{_EXECUTION}/GetVersion"
STREAM = "/remotemedia.v1.StreamingPipelineService/StreamPipeline"

_CLIENT_VERSION = "v1"
_GOOD_STATUSES = (common_pb2.EXECUTION_STATUS_UNSPECIFIED, common_pb2.EXECUTION_STATUS_SUCCESS)


def execute_request(data: RuntimeData, node_type: str) -> execution_pb2.ExecuteRequest:
    """Return the request that runs one piece of data through the one node."""
    request = execution_pb2.ExecuteRequest(client_version=_CLIENT_VERSION)
    request.manifest.CopyFrom(encode_manifest(pipeline(node_type)))
    request.data_inputs[NODE].CopyFrom(encode(data))
    return request


async def execute(connection: Http2, data: RuntimeData) -> RuntimeData:
    """Run one piece of data through the node under test, and return the output."""
    answer = await call(connection, EXECUTE, execute_request(data, connection.target.node_type))
    return output_of(answer.only_message())


def output_of(payload: bytes) -> RuntimeData:
    """Return the one output of an execution.

    Raises Violation for an error, DataValidationError for data that breaks its contract.
    """
    response = parse(execution_pb2.ExecuteResponse, payload)
    match response.WhichOneof("outcome"):
        case "result":
            if response.result.status not in _GOOD_STATUSES:
                raise Violation(f"the result has the status {response.result.status}")
            return only_output(read_outputs(response.result.data_outputs))
        case "error":
            raise Violation(f"the pipeline failed: {response.error.message!r}")
        case _:
            raise Violation("the answer has neither a result nor an error")


def error_of(payload: bytes) -> common_pb2.ErrorResponse:
    """Return the error of an execution. Raises Violation where there is none."""
    response = parse(execution_pb2.ExecuteResponse, payload)
    if response.WhichOneof("outcome") != "error":
        raise Violation(f"the answer has {response.WhichOneof('outcome') or 'no outcome'}, and no error")
    return response.error


def read_outputs(outputs: Mapping[str, common_pb2.DataBuffer]) -> dict[str, RuntimeData]:
    """Read buffers. Raises DataValidationError for one that breaks its contract."""
    return {name: decode(buffer) for name, buffer in outputs.items()}


def strange_pipeline() -> execution_pb2.PipelineManifest:
    """Return a pipeline with a connection to a node that it does not have."""
    manifest = execution_pb2.PipelineManifest(version="v1")
    manifest.nodes.add(id=NODE, node_type="PassThrough", params="{}")
    manifest.connections.add(**{"from": NODE, "to": "nowhere"})
    return manifest


def init(node_type: str) -> streaming_pb2.StreamRequest:
    """Return the message that opens a session."""
    request = streaming_pb2.StreamRequest()
    request.init.manifest.CopyFrom(encode_manifest(pipeline(node_type)))
    request.init.client_version = _CLIENT_VERSION
    return request


def chunk(sequence: int, data: RuntimeData | None = None) -> streaming_pb2.StreamRequest:
    """Return one chunk of a session; its text tells its number where there is no data."""
    request = streaming_pb2.StreamRequest()
    request.data_chunk.node_id = NODE
    request.data_chunk.sequence = sequence
    request.data_chunk.buffer.CopyFrom(encode(Text(f"chunk {sequence}") if data is None else data))
    return request


def control(name: Literal["COMMAND_CLOSE", "COMMAND_CANCEL"]) -> streaming_pb2.StreamRequest:
    """Return a control message of a session."""
    command = streaming_pb2.StreamControl.Command.Value(name)
    return streaming_pb2.StreamRequest(control=streaming_pb2.StreamControl(command=command))
