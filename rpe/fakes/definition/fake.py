"""A gRPC server of the services that definitions are of, in this process and on this loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

import grpc

from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.errors import ConfigurationError
from rpe.fakes.definition.answering import MethodServer
from rpe.fakes.definition.calls import Call, CallJournal
from rpe.fakes.definition.loading import Definitions, load_definitions
from rpe.fakes.definition.plan import MethodPlan
from rpe.fakes.definition.scenarios import Scenarios
from rpe.fakes.health import HealthBoard
from rpe.transport.grpc_binding import bind, new_server, tls_of

if TYPE_CHECKING:
    from rpe.fakes.definition.connect import ConnectServer

__all__ = ["CallObserver", "ProtoFake"]


class CallObserver(Protocol):
    """Who is told of each call when it comes and when it has ended."""

    def began(self, call: Call) -> None:
        """Take note of a call that has come in."""
        ...

    def ended(self, call: Call) -> None:
        """Take note of how a call ended."""
        ...


class ProtoFake:
    """A fake of any gRPC service, used as an async context.

        async with ProtoFake("fakes/shop.v1.Shop.yaml") as fake:
            await use_my_client(fake.endpoint)
            assert fake.calls("GetItem")[0].requests == [{"id": "7"}]

    Health and reflection (v1 and v1alpha) are served beside the services of the definitions.

    Arguments:
        definition: what `load_definitions` or `parse_definition` gave, or the path of a file or a
            folder to load here, which blocks while protoc runs.
        host, port: where to listen for gRPC; port 0 takes a free one, None goes without gRPC. No other
            server can share the port.
        http_port: where to serve the same methods by the Connect protocol; None goes without.
        journal_limit: how many of the newest calls are kept; with 0 no message is kept either.
        reflection, health, channelz: whether those services are served.
        max_message_bytes: of what is received and sent.
        certificate_chain, private_key: PEM, for TLS; with client_root_certificates, mutual TLS.
        seed: what drawn delays come from.
        clock: what delays are waited by.

    Raises ConfigurationError where the definition cannot be used.
    """

    def __init__(
        self,
        definition: Definitions | Path | str,
        *,
        host: str = "127.0.0.1",
        port: int | None = 0,
        http_port: int | None = None,
        journal_limit: int = 10_000,
        reflection: bool = True,
        health: bool = True,
        channelz: bool = False,
        max_message_bytes: int = 64 * 1024 * 1024,
        certificate_chain: bytes | None = None,
        private_key: bytes | None = None,
        client_root_certificates: bytes | None = None,
        seed: int = 0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.endpoint = ""
        self.http_endpoint = ""
        self.health = HealthBoard()
        self._clock = clock
        self._seed = seed
        self._host = host
        self._port = port
        self._http_port = http_port
        self._reflection = reflection
        self._health = health
        self._channelz = channelz
        self._max_message_bytes = max_message_bytes
        self._tls = tls_of(certificate_chain, private_key, client_root_certificates)
        self._journal = _ObservedJournal(clock, journal_limit)
        self._methods: dict[str, dict[str, MethodServer]] = {}
        self._routes = _Routes()
        self._servers: list[_Stop] = []
        self._definitions = _loaded(definition)
        self._follow(self._definitions)

    def __repr__(self) -> str:
        return f"ProtoFake({', '.join(self.services)} at {self.endpoint or 'no endpoint yet'})"

    @property
    def services(self) -> tuple[str, ...]:
        """The full names of the services that definitions are of."""
        return tuple(self._methods)

    @property
    def definitions(self) -> Definitions:
        """The definitions that new calls are answered by."""
        return self._definitions

    @property
    def clock(self) -> Clock:
        """What delays are waited by."""
        return self._clock

    @property
    def scenarios(self) -> Scenarios:
        """The states of the scenarios, to look at and to set."""
        return self._journal.scenarios

    def method(self, service: str, name: str) -> MethodServer | None:
        """Return what serves a method now; None where no definition has it."""
        return self._methods.get(service, {}).get(name)

    def observe(self, observer: CallObserver) -> None:
        """Tell somebody of each call from now on."""
        self._journal.observers.append(observer)

    def replace(self, definition: Definitions | Path | str, *, reset: bool = False) -> None:
        """Answer by other definitions from the next call on; services may come and go with them.

        Running calls go on by the rules that they began with. The journal, the counts of calls and
        the states of scenarios stay, unless `reset` is given. Sequences begin anew, but for methods
        that both definitions share as one object. Health and reflection follow: a new service is
        SERVING.

        Raises ConfigurationError where the definition cannot be used; the old one stays then.
        """
        loaded = _loaded(definition)
        self._follow(loaded)
        if reset:
            self.reset()

    async def start(self) -> None:
        """Bind and serve. Harmless where it runs already.

        Raises ConfigurationError where the address cannot be bound or certificates are unusable;
        nothing runs then.
        """
        if self._servers:
            return
        servers: list[_Stop] = []
        try:
            if self._port is not None:
                server = new_server(self._max_message_bytes)
                server.add_generic_rpc_handlers((self._routes,))
                endpoint = bind(server, self._host, self._port, self._tls)
                await server.start()
                servers.append(_stopping(server))
                self.endpoint = endpoint
            if self._http_port is not None:
                connect = self._connect(self._http_port)
                await connect.start()
                servers.append(connect.stop)
                self.http_endpoint = connect.endpoint
        except BaseException:
            self.endpoint = ""
            await _stop(servers, 0.0)
            raise
        self._servers = servers

    async def stop(self, grace_s: float = 0.0) -> None:
        """Take no more calls, give running ones `grace_s` seconds, then cancel them. Harmless twice.

        Cancelling this ends the grace; the server has stopped then, too.
        """
        servers, self._servers = self._servers, []
        try:
            await _stop(servers, grace_s)
        except asyncio.CancelledError:
            await _stop(servers, 0.0)
            raise

    def calls(self, method: str | None = None) -> list[Call]:
        """Return the calls in the order in which they came, running ones too.

        `method` is a method's name, or `package.Service/Method`. Raises ConfigurationError where
        no service has such a method: a test that counts its calls would prove nothing.
        """
        return self._journal.calls(*self.named(method))

    async def wait_for_calls(
        self, count: int, method: str | None = None, *, timeout_s: float = 5.0
    ) -> list[Call]:
        """Wait until `count` calls have ended, and return those that have. Raises TimeoutError."""
        return await self._journal.wait(count, *self.named(method), timeout_s)

    def set_health(self, service: str | None, status: str) -> None:
        """Tell health checks another status of a service; None is all of them and the server.

        The statuses are SERVING, NOT_SERVING, UNKNOWN and SERVICE_UNKNOWN; whoever watches is told
        of each change. Raises ConfigurationError where there is no such status or service.
        """
        self.health.set(service, status)

    def reset(self) -> None:
        """Forget all calls: the journal, their counts, the places in sequences, the states of scenarios."""
        self._journal.clear()
        for methods in self._methods.values():
            for served in methods.values():
                served.reset()

    def named(self, method: str | None) -> tuple[str | None, str | None]:
        """Return the service (None: any) and the name of a method, as `calls` takes it.

        Raises ConfigurationError where no service has such a method.
        """
        if method is None:
            return None, None
        service, _, name = method.rpartition("/")
        for known, methods in self._methods.items():
            if name in methods and service in ("", known):
                return service or None, name
        raise ConfigurationError(f"no service of this fake has a method {method}")

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _follow(self, definitions: Definitions) -> None:
        """Serve these definitions. What can fail comes first, so that a failure changes nothing."""
        methods = {
            service.name: {name: self._served(service.name, plan) for name, plan in service.methods.items()}
            for service in definitions.services.values()
        }
        routes = {
            f"/{service}/{name}": served.handler()
            for service, named in methods.items()
            for name, served in named.items()
        }
        routes = self._own_routes(definitions, tuple(methods)) | routes
        self._definitions, self._methods, self._routes.methods = definitions, methods, routes
        self.health.follow(methods)

    def _connect(self, port: int) -> ConnectServer:
        from rpe.fakes.definition.connect import ConnectServer
        from rpe.transport.http.tls import server_context
        from rpe.transport.serving import ServerSettings

        chain, key, roots = self._tls or (None, None, None)
        settings = ServerSettings(certificate_chain=chain, private_key=key, client_root_certificates=roots)
        return ConnectServer(
            self.method,
            host=self._host,
            port=port,
            ssl_context=server_context(settings),
            max_message_bytes=self._max_message_bytes,
            clock=self._clock,
        )

    def _served(self, service: str, plan: MethodPlan) -> MethodServer:
        known = self.method(service, plan.name)
        if known is not None and known.plan is plan:
            return known
        return MethodServer(service, plan, self._journal, self._clock, seed=self._seed)

    def _own_routes(
        self, definitions: Definitions, services: tuple[str, ...]
    ) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
        """Return gRPC's own services, but for those that the definitions have themselves."""
        routes: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
        names, pools = list(services), [definitions.contracts.pool]
        if self._health or self._channelz:
            from rpe.fakes.definition import own_services as own

            if self._health and own.HEALTH_SERVICE not in names:
                routes |= own.health_methods(self.health)
                names.append(own.HEALTH_SERVICE)
            if self._channelz and own.CHANNELZ_SERVICE not in names:
                routes |= own.channelz_methods()
                names.append(own.CHANNELZ_SERVICE)
                pools.append(own.channelz_pool())
        if self._reflection:
            from rpe.transport.reflecting import reflection_methods

            routes |= reflection_methods(names, pools)
        return routes


_Stop = Callable[[float], Coroutine[Any, Any, None]]


def _stopping(server: grpc.aio.Server) -> _Stop:
    """Return what stops a server of gRPC's, which has a None of its own for no grace."""

    async def stop(grace_s: float) -> None:
        await server.stop(grace_s if grace_s > 0 else None)

    return stop


async def _stop(servers: list[_Stop], grace_s: float) -> None:
    """Stop side by side, so that the grace is one for all."""
    async with asyncio.TaskGroup() as group:
        for stop in servers:
            group.create_task(stop(grace_s))


class _Routes(grpc.GenericRpcHandler):
    """Finds the handler of each call among those that there are at the time."""

    def __init__(self) -> None:
        self.methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    def service(self, handler_call_details: Any) -> grpc.RpcMethodHandler[Any, Any] | None:
        return self.methods.get(handler_call_details.method)


class _ObservedJournal(CallJournal):
    """A journal that tells others of its calls."""

    def __init__(self, clock: Clock, limit: int) -> None:
        super().__init__(clock, limit)
        self.observers: list[CallObserver] = []

    def begin(self, service: str, method: str, metadata: Iterable[tuple[str, str | bytes]]) -> Call:
        call = super().begin(service, method, metadata)
        for observer in self.observers:
            observer.began(call)
        return call

    def end(self, call: Call, code: str, details: str = "") -> None:
        running = call.ended_s is None
        super().end(call, code, details)
        if running:
            for observer in self.observers:
                observer.ended(call)


def _loaded(definition: Definitions | Path | str) -> Definitions:
    return definition if isinstance(definition, Definitions) else load_definitions(definition)
