"""Descriptors from a live server, by gRPC's reflection service.

After gRPC's "GRPC Server Reflection Protocol": version 1 is asked for first, then v1alpha, which differs in
nothing but its name.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import DecodeError

from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.errors import (
    AuthenticationFailed,
    ConfigurationError,
    ConnectFailed,
    ProtocolViolation,
    RemoteTimeout,
    RpeError,
    redact,
)

if TYPE_CHECKING:
    import grpc

__all__ = ["Reflected", "ReflectedServer", "fetch_contracts", "is_server"]

_VERSIONS = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")
_SCHEMES = ("grpc", "grpcs")
_OWN = "grpc."
_KEY = re.compile(r"[0-9a-z_.-]+")
_VALUE = re.compile(r"[\x20-\x7e]*")
_LARGEST_BYTES = 64 * 1024 * 1024
_NO_REFLECTION = "switch reflection on in the server, or generate from its .proto files"


@dataclass(frozen=True, slots=True)
class ReflectedServer:
    """A server to ask, from `grpc://host:port`, or `grpcs://host:port` for TLS.

    root_certificates: PEM of whom to trust with TLS; None for the usual roots.
    metadata: what is sent along, such as an authorization; never shown.
    """

    address: str
    tls: bool = False
    root_certificates: bytes | None = field(default=None, repr=False)
    metadata: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @classmethod
    def parse(
        cls, url: str, *, root_certificates: bytes | None = None, headers: Sequence[str] = ()
    ) -> ReflectedServer:
        """Read the URL of a server, and headers as `NAME: VALUE`. Raises ConfigurationError."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise _no_url(url) from error
        plain = not (parts.path.strip("/") or parts.query or parts.fragment or parts.username)
        if parts.scheme not in _SCHEMES or not parts.hostname or not port or not plain:
            raise _no_url(url)
        tls = parts.scheme == "grpcs"
        if root_certificates is not None and not tls:
            raise ConfigurationError(f"certificates go with grpcs://, and {url} is clear text")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        return cls(f"{host}:{port}", tls, root_certificates, tuple(_header(text) for text in headers))


@dataclass(frozen=True, slots=True)
class Reflected:
    """What a server tells of itself: the names of its services, and all files that they need."""

    services: tuple[str, ...]
    files: FileDescriptorSet


def is_server(source: str) -> bool:
    """Say whether a source is the URL of a server, rather than a path."""
    return source.partition("://")[0] in _SCHEMES and "://" in source


async def fetch_contracts(
    server: ReflectedServer, *, own: bool = False, timeout_s: float = 10.0, clock: Clock = SYSTEM_CLOCK
) -> Reflected:
    """Ask a server for its services, and for the files of those with all that they import.

    Arguments:
        own: gRPC's own services too, such as health and reflection.
        timeout_s: for all of it.

    Raises ConfigurationError where the server has no reflection or no service, ProtocolViolation where it
    lacks a file that another one imports, and ConnectFailed, AuthenticationFailed or RemoteTimeout.
    """
    try:
        async with clock.deadline(clock.now() + timeout_s):
            return await _fetched(server, own)
    except TimeoutError as error:
        raise RemoteTimeout(
            f"reflection took longer than {timeout_s:g} s",
            endpoint=server.address,
            hint="is it a gRPC server, and clear text or TLS as you said?",
        ) from error


async def _fetched(server: ReflectedServer, own: bool) -> Reflected:
    import grpc

    from rpe.transport.grpc.status import being_cancelled

    options = [("grpc.max_receive_message_length", _LARGEST_BYTES), ("grpc.enable_retries", 0)]
    if server.tls:
        credentials = grpc.ssl_channel_credentials(root_certificates=server.root_certificates)
        channel = grpc.aio.secure_channel(server.address, credentials, options=options)
    else:
        channel = grpc.aio.insecure_channel(server.address, options=options)
    async with channel:
        for version in _VERSIONS:
            try:
                return await _Reader(server, channel, version).read(own)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                    raise _failed(server, error) from error
            except asyncio.CancelledError as error:
                if being_cancelled():
                    raise
                raise ProtocolViolation(
                    "the server cancelled its reflection", endpoint=server.address
                ) from error
    raise ConfigurationError(
        "this server has no reflection service", endpoint=server.address, hint=_NO_REFLECTION
    )


class _Reader:
    """Reads a server by one version of its reflection.

    Each question is a call of its own, though a stream could take them all: where a server refuses a
    stream while something is written to it, gRPC loses the status that says why.
    """

    def __init__(self, server: ReflectedServer, channel: grpc.aio.Channel, version: str) -> None:
        from grpc_reflection.v1alpha import reflection_pb2

        self._server = server
        self._pb2: Any = reflection_pb2
        self._files: dict[str, FileDescriptorProto] = {}
        self._call: Any = channel.unary_stream(
            f"/{version}/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )

    async def read(self, own: bool) -> Reflected:
        listed = await self._ask(list_services="")
        if listed.HasField("error_response"):
            raise self._wrong(f"reflection names no services: {listed.error_response.error_message}")
        named = sorted({service.name for service in listed.list_services_response.service})
        names = tuple(name for name in named if own or not name.startswith(_OWN))
        if not names:
            told = f", only {', '.join(named)}" if named else ""
            raise ConfigurationError(
                f"the server names no service of its own{told}", endpoint=self._server.address
            )
        for name in names:
            found = await self._ask(file_containing_symbol=name)
            self._take(found, f"its service {name}")
        await self._take_imports()
        return Reflected(names, FileDescriptorSet(file=self._files.values()))

    async def _take_imports(self) -> None:
        missing = True
        while missing:
            missing = False
            for file in list(self._files.values()):
                for name in file.dependency:
                    if name not in self._files:
                        missing = True
                        await self._take_file(name, file.name)

    async def _take_file(self, name: str, of: str) -> None:
        found = await self._ask(file_by_filename=name)
        if found.HasField("error_response"):
            known = _well_known(name)
            if known is None:
                raise self._wrong(
                    f"reflection has no file {name}, which {of} imports: {found.error_response.error_message}"
                )
            self._files[name] = known
            return
        self._take(found, f"the file {name}")
        if name not in self._files:
            raise self._wrong(f"reflection answers another file for {name}, which {of} imports")

    def _take(self, answer: Any, what: str) -> None:
        if answer.HasField("error_response"):
            raise self._wrong(f"reflection has nothing of {what}: {answer.error_response.error_message}")
        try:
            for data in answer.file_descriptor_response.file_descriptor_proto:
                file = FileDescriptorProto.FromString(data)
                self._files.setdefault(file.name, file)
        except DecodeError as error:
            raise self._wrong(f"reflection answers no descriptor for {what}") from error

    async def _ask(self, **question: str) -> Any:
        import grpc

        request = self._pb2.ServerReflectionRequest(**question)
        answers = self._call(request, metadata=self._server.metadata)
        try:
            answer = await answers.read()
        finally:
            answers.cancel()  # harmless where it has ended
        if answer is grpc.aio.EOF:
            raise self._wrong("reflection ended without an answer")
        return answer

    def _wrong(self, text: str) -> ProtocolViolation:
        return ProtocolViolation(
            redact(text.rstrip(": ")), endpoint=self._server.address, hint="generate from its .proto files"
        )


def _failed(server: ReflectedServer, error: grpc.aio.AioRpcError) -> RpeError:
    """Return what to tell of a call that ended with a status."""
    name, text = error.code().name, redact(error.details() or "")
    if name in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
        return AuthenticationFailed(
            f"the server does not show its services: {text}",
            endpoint=server.address,
            hint='--header "authorization: Bearer ..." sends a token along',
        )
    if name == "UNAVAILABLE":
        return ConnectFailed(
            f"the server cannot be reached: {text}",
            endpoint=server.address,
            hint="check that it is running, and whether it wants grpcs://, which is TLS",
        )
    return ProtocolViolation(f"reflection failed with {name}: {text}", endpoint=server.address)


def _well_known(name: str) -> FileDescriptorProto | None:
    """Return a file of protobuf's own: servers often leave those out."""
    if not re.fullmatch(r"google/protobuf/[a-z_]+\.proto", name):
        return None
    try:
        module = import_module(name.removesuffix(".proto").replace("/", ".") + "_pb2")
    except ImportError:
        return None
    return FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)


def _header(text: str) -> tuple[str, str]:
    key, colon, value = text.partition(":")
    key, value = key.strip().lower(), value.strip()
    # Without the text itself in what is told: it may well be a secret.
    if not colon or not _KEY.fullmatch(key) or not _VALUE.fullmatch(value) or key.endswith("-bin"):
        raise ConfigurationError(
            "a header is NAME: VALUE in ASCII", hint='such as "authorization: Bearer ..."'
        )
    return key, value


def _no_url(url: str) -> ConfigurationError:
    return ConfigurationError(
        f"{redact(url)} is not the address of a server", hint="grpc://host:port or grpcs://"
    )
