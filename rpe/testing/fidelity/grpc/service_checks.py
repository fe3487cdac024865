"""Checks of the pipeline services: what executions, versions and health checks are answered with."""

from __future__ import annotations

from rpe.data import Text
from rpe.testing.fidelity.grpc.calls import (
    INVALID_ARGUMENT,
    OK,
    UNAUTHENTICATED,
    UNIMPLEMENTED,
    call,
    parse,
)
from rpe.testing.fidelity.grpc.http2 import Http2
from rpe.testing.fidelity.grpc.messages import (
    EXECUTE,
    VERSION,
    error_of,
    execute,
    execute_request,
    strange_pipeline,
)
from rpe.testing.fidelity.model import NotApplicable, Violation
from rpe.testing.fidelity.samples import NODE, check_same, check_same_answers, samples
from rpe.testing.fidelity.suite import Checks
from rpe.testing.fidelity.target import Target
from rpe.wire.generated.remotemedia.v1 import common_pb2, execution_pb2
from rpe.wire.protobuf import encode

__all__ = ["checks"]

checks = Checks("grpc")

_HEALTH = "/grpc.health.v1.Health/Check"
_PROTOCOL = "v1"
_SERVICE = "execution.proto, PipelineExecutionService"
_STRANGE_NODE = "NoSuchNodeTypeAnywhere"
_HEALTH_STATUSES = {b"\x08\x01": "SERVING", b"\x08\x02": "NOT_SERVING"}


@checks(
    "version",
    proves="GetVersion says that the protocol_version is v1, and that a v1 client is compatible.",
    contract="execution.proto, GetVersion",
)
async def _version(target: Target) -> None:
    async with Http2.open(target) as connection:
        answer = await call(connection, VERSION, execution_pb2.VersionRequest(client_version=_PROTOCOL))
        told = parse(execution_pb2.VersionResponse, answer.only_message())
        if told.version_info.protocol_version != _PROTOCOL:
            raise Violation(f"protocol_version is {told.version_info.protocol_version!r}")
        if not told.compatible:
            raise Violation(f"a v1 client is not compatible: {told.compatibility_message!r}")


@checks(
    "health",
    proves="The standard health service says SERVING of the server as a whole.",
    contract="grpc.health.v1, Check",
)
async def _health(target: Target) -> None:
    async with Http2.open(target) as connection:
        answer = await call(connection, _HEALTH, b"")
        if answer.status == UNIMPLEMENTED:
            raise NotApplicable("the server has no health service, which the contract leaves to it")
        payload = answer.only_message()
        if (told := _HEALTH_STATUSES.get(payload)) != "SERVING":
            raise Violation(f"the health is {told or payload.hex() or 'UNKNOWN'}")


@checks(
    "execute",
    proves="Text, JSON, bytes and sound come back from the node as they were sent, bit for bit.",
    contract=f"{_SERVICE}; common.proto, DataBuffer",
)
async def _execute(target: Target) -> None:
    async with Http2.open(target) as connection:
        for kind, data in samples().items():
            check_same(data, await execute(connection, data), kind)


@checks(
    "same-answer",
    proves="Identical requests get identical answers by content, unless their labels say otherwise.",
    contract=_SERVICE,
)
async def _same_answer(target: Target) -> None:
    async with Http2.open(target) as connection:
        for data in samples().values():
            check_same_answers(await execute(connection, data), await execute(connection, data))


@checks(
    "missing-manifest",
    proves="An execution without a manifest is refused with INVALID_ARGUMENT.",
    contract=_SERVICE,
)
async def _missing_manifest(target: Target) -> None:
    request = execution_pb2.ExecuteRequest(client_version="v1")
    request.data_inputs[NODE].CopyFrom(encode(Text("x")))
    async with Http2.open(target) as connection:
        answer = await call(connection, EXECUTE, request)
        if answer.status != INVALID_ARGUMENT:
            raise Violation(f"it was answered with {answer.told}")


@checks(
    "invalid-manifest",
    proves="A manifest with a connection to nowhere is told as an error in the answer, and the status is OK.",
    contract=f"{_SERVICE}: an error of the application comes back in the answer",
)
async def _invalid_manifest(target: Target) -> None:
    request = execute_request(Text("x"), target.node_type)
    request.manifest.CopyFrom(strange_pipeline())
    await _told_in_the_answer(target, request)


@checks(
    "unknown-node-type",
    proves="A node type that is not there is told as an error in the answer, and the status is OK.",
    contract=f"{_SERVICE}: an error of the application comes back in the answer",
)
async def _unknown_node_type(target: Target) -> None:
    await _told_in_the_answer(target, execute_request(Text("x"), _STRANGE_NODE))


@checks(
    "token",
    proves="A call without the token, or with another one, is refused with UNAUTHENTICATED.",
    contract="docs/auth.md",
)
async def _token(target: Target) -> None:
    if not target.token:
        raise NotApplicable("no token was given, so the server has nothing to refuse")
    async with Http2.open(target) as connection:
        for token in ("", f"not-{target.token}"):
            request = execute_request(Text("x"), target.node_type)
            answer = await call(connection, EXECUTE, request, token=token)
            if answer.status != UNAUTHENTICATED:
                sent = "another token" if token else "no token"
                raise Violation(f"a call with {sent} was answered with {answer.name}")


async def _told_in_the_answer(target: Target, request: execution_pb2.ExecuteRequest) -> None:
    async with Http2.open(target) as connection:
        answer = await call(connection, EXECUTE, request)
        if answer.status != OK:
            raise Violation(f"it was answered with {answer.told}")
        error = error_of(answer.only_message())
        if error.error_type == common_pb2.ERROR_TYPE_UNSPECIFIED:
            raise Violation(f"the error has no error_type: {error.message!r}")
        if not error.message:
            raise Violation("the error has no message")
