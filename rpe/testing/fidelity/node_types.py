"""Finding a node type at the server that gives back what it gets."""

from __future__ import annotations

from collections.abc import Collection

from rpe.data import Text
from rpe.errors import ConfigurationError, RpeError
from rpe.testing.fidelity.model import Violation
from rpe.testing.fidelity.target import Target
from rpe.transport.registry import get_transport

__all__ = ["ECHOES", "find_node_type"]

ECHOES = ("Echo", "PassThrough")
"""The node types that are looked for, the first one first."""


async def find_node_type(target: Target, transport: str) -> str:
    """Ask the server for its node types, or where the wire has no such question, try those of `ECHOES`.

    A server that gives no usable answer is taken to have the first of them: its checks will
    tell what is wrong. Raises ConfigurationError where it names its node types, and none of
    `ECHOES` is among them.
    """
    names: Collection[str] = ()
    try:
        async with target.clock.deadline(target.clock.now() + target.limit_s):
            if transport == "grpc":
                names = await _ask(target)
            else:
                return await _try(target, transport)
    except (Violation, RpeError, TimeoutError, OSError):
        return ECHOES[0]
    if not names:
        return ECHOES[0]
    for name in ECHOES:
        if name in names:
            return name
    raise ConfigurationError(
        f"the server has none of the node types {', '.join(ECHOES)}",
        endpoint=target.endpoint,
        hint="name one that gives back what it gets, unchanged and one for one",
    )


async def _ask(target: Target) -> Collection[str]:
    from rpe.testing.fidelity.grpc.calls import call, parse
    from rpe.testing.fidelity.grpc.http2 import Http2
    from rpe.testing.fidelity.grpc.messages import VERSION
    from rpe.wire.generated.remotemedia.v1 import execution_pb2

    async with Http2.open(target) as connection:
        answer = await call(connection, VERSION, execution_pb2.VersionRequest(client_version="v1"))
        told = parse(execution_pb2.VersionResponse, answer.only_message())
        return list(told.version_info.supported_node_types)


async def _try(target: Target, transport: str) -> str:
    from rpe.testing.fidelity.samples import NODE, pipeline

    client = get_transport(transport).create_client(target.endpoint, {"token": target.token})
    try:
        for name in ECHOES:
            try:
                await client.execute(pipeline(name), {NODE: Text("x")}, timeout_s=target.limit_s)
            except RpeError:
                continue
            return name
    finally:
        await client.close()
    return ECHOES[0]
