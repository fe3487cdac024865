"""A gRPC server at an address that it shares with no other, in clear text or with TLS.

It stands beside `rpe.transport.grpc`, whose import brings the data types along: a fake of another
service has no use for these, and starts without them.
"""

from __future__ import annotations

import grpc

from rpe.errors import ConfigurationError
from rpe.transport.listening import bracketed, listening_socket

__all__ = ["Tls", "bind", "new_server", "tls_of"]

Tls = tuple[bytes, bytes, bytes | None]
"""PEM: the certificate chain, its private key, and the authorities that callers must be from (None: any)."""


def new_server(max_message_bytes: int) -> grpc.aio.Server:
    """Return a server of which messages may have so many bytes, both ways."""
    return grpc.aio.server(
        options=[
            # Linux would let two servers share a port, and callers reach the wrong one.
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", max_message_bytes),
            ("grpc.max_send_message_length", max_message_bytes),
        ]
    )


def bind(server: grpc.aio.Server, host: str, port: int, tls: Tls | None) -> str:
    """Bind a server, and return where it will listen. Raises ConfigurationError where that cannot be."""
    address = f"{bracketed(host)}:{port}"
    try:
        if port:
            # Tried with a socket of our own: gRPC tells why it failed only on standard error.
            listening_socket(host, port, "a gRPC server").close()
        if tls is None:
            bound = server.add_insecure_port(address)
        else:
            bound = server.add_secure_port(address, _credentials(tls))
    except RuntimeError as error:
        why = "the address cannot be bound" if tls is None else "no address, or unusable certificates"
        raise ConfigurationError(
            f"a gRPC server cannot be started: {why}",
            endpoint=address,
            hint="choose another port, or 0 for any free one",
        ) from error
    return f"{bracketed(host)}:{bound}"


def tls_of(chain: bytes | None, key: bytes | None, roots: bytes | None) -> Tls | None:
    """Put certificates together; None where there are none. Raises ConfigurationError where one lacks."""
    if chain is None and key is None and roots is None:
        return None
    if chain is None or key is None:
        raise ConfigurationError(
            "TLS needs both certificate_chain and private_key",
            hint="give both as PEM, or neither for clear text",
        )
    return chain, key, roots


def _credentials(tls: Tls) -> grpc.ServerCredentials:
    chain, key, roots = tls
    return grpc.ssl_server_credentials(
        [(key, chain)], root_certificates=roots, require_client_auth=roots is not None
    )
