"""A gRPC server of the services that definitions are of, in this process and on this loop."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.errors import ConfigurationError
from rpe.fakes.definition.answering import MethodServer
from rpe.fakes.definition.calls import Call, CallJournal
from rpe.fakes.definition.descriptors import Contracts
from rpe.fakes.definition.loading import Definitions, load_definitions

__all__ = ["ProtoFake"]

_HEALTH = "grpc.health.v1.Health"
_REFLECTION = "grpc.reflection.v1alpha.ServerReflection"


class ProtoFake:
    """A fake of any gRPC service, used as an async context.

        async with ProtoFake("fakes/shop.v1.Shop.yaml") as fake:
            await use_my_client(fake.endpoint)
            assert fake.calls("GetItem")[0].requests == [{"id": "7"}]

    Health and reflection (v1alpha) are served beside the services of the definitions.

    Arguments:
        definition: what `load_definitions` or `parse_definition` gave, or the path of a file or a
            folder to load here, which blocks while protoc runs.
        host, port: where to listen; port 0 takes a free one. No other server can share the port.
        journal_limit: how many of the newest calls are kept; with 0 no message is kept either.
        reflection, health: whether those services are served.
        max_message_bytes: of what is received and sent.
        clock: what delays are waited by.

    Raises ConfigurationError where the definition cannot be used.
    """

    def __init__(
        self,
        definition: Definitions | Path | str,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        journal_limit: int = 10_000,
        reflection: bool = True,
        health: bool = True,
        max_message_bytes: int = 64 * 1024 * 1024,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        loaded = definition if isinstance(definition, Definitions) else load_definitions(definition)
        self.endpoint = ""
        self._definitions = loaded
        self._host = host
        self._port = port
        self._reflection = reflection
        self._health = health
        self._max_message_bytes = max_message_bytes
        self._journal = CallJournal(clock, journal_limit)
        self._methods = {
            service.name: {
                name: MethodServer(service.name, plan, self._journal, clock)
                for name, plan in service.methods.items()
            }
            for service in loaded.services.values()
        }
        self._server: grpc.aio.Server | None = None

    def __repr__(self) -> str:
        return f"ProtoFake({', '.join(self.services)} at {self.endpoint or 'no endpoint yet'})"

    @property
    def services(self) -> tuple[str, ...]:
        """The full names of the services that definitions are of."""
        return tuple(self._methods)

    async def start(self) -> None:
        """Bind and serve. Harmless where it runs already.

        Raises ConfigurationError where the address cannot be bound; nothing runs then.
        """
        if self._server is not None:
            return
        server = grpc.aio.server(
            options=[
                # Linux would let two servers share a port, and callers reach the wrong one.
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", self._max_message_bytes),
                ("grpc.max_send_message_length", self._max_message_bytes),
            ]
        )
        for name, methods in self._methods.items():
            handlers = {method: served.handler() for method, served in methods.items()}
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
        names = list(self._methods)
        if self._health and _HEALTH not in names:
            await _serve_health(server, self._definitions.contracts, tuple(self._methods))
            names.append(_HEALTH)
        if self._reflection and _REFLECTION not in names:
            _serve_reflection(server, self._definitions.contracts, [*names, _REFLECTION])
        host = f"[{self._host}]" if ":" in self._host else self._host
        port = _bind(server, self._host, self._port, host)
        await server.start()
        self._server = server
        self.endpoint = f"{host}:{port}"

    async def stop(self, grace_s: float = 0.0) -> None:
        """Take no more calls, give running ones `grace_s` seconds, then cancel them. Harmless twice.

        Cancelling this ends the grace; the server has stopped then, too.
        """
        server, self._server = self._server, None
        if server is None:
            return
        try:
            await server.stop(grace_s if grace_s > 0 else None)
        except asyncio.CancelledError:
            await server.stop(None)
            raise

    def calls(self, method: str | None = None) -> list[Call]:
        """Return the calls in the order in which they came, running ones too.

        `method` is a method's name, or `package.Service/Method`. Raises ConfigurationError where
        no service has such a method: a test that counts its calls would prove nothing.
        """
        return self._journal.calls(*self._named(method))

    async def wait_for_calls(
        self, count: int, method: str | None = None, *, timeout_s: float = 5.0
    ) -> list[Call]:
        """Wait until `count` calls have ended, and return those that have. Raises TimeoutError."""
        return await self._journal.wait(count, *self._named(method), timeout_s)

    def reset(self) -> None:
        """Forget all calls: the journal, the counts of calls and the places in sequences."""
        self._journal.clear()
        for methods in self._methods.values():
            for served in methods.values():
                served.reset()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _named(self, method: str | None) -> tuple[str | None, str | None]:
        if method is None:
            return None, None
        service, _, name = method.rpartition("/")
        for known, methods in self._methods.items():
            if name in methods and service in ("", known):
                return service or None, name
        raise ConfigurationError(f"no service of this fake has a method {method}")


async def _serve_health(server: grpc.aio.Server, contracts: Contracts, services: tuple[str, ...]) -> None:
    from grpc_health.v1 import health, health_pb2, health_pb2_grpc

    servicer = health.aio.HealthServicer()
    for name in ("", *services):
        await servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    _describe(contracts, _HEALTH, health_pb2)


def _serve_reflection(server: grpc.aio.Server, contracts: Contracts, services: list[str]) -> None:
    from grpc_reflection.v1alpha import reflection, reflection_pb2

    _describe(contracts, _REFLECTION, reflection_pb2)
    reflection.enable_server_reflection(services, server, pool=contracts.pool)


def _describe(contracts: Contracts, service: str, module: Any) -> None:
    """Make a service of gRPC's own known to the pool that reflection tells of."""
    try:
        contracts.pool.FindServiceByName(service)
    except KeyError:
        contracts.add([FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)])


def _bind(server: grpc.aio.Server, host: str, port: int, bracketed: str) -> int:
    address = f"{bracketed}:{port}"
    try:
        if port:
            # Tried with a socket of our own: gRPC tells why it failed only on standard error.
            family, kind, protocol, _, found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(found)
                probe.listen(1)
        return server.add_insecure_port(address)
    except (OSError, RuntimeError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or "the address cannot be bound"
        raise ConfigurationError(f"the fake cannot be started: {why}", endpoint=address) from error
