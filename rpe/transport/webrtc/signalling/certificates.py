"""TLS contexts from certificates in memory, for the WebSocket's two ends."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path

from rpe.errors import ConfigurationError
from rpe.transport.ports import TlsSettings

__all__ = ["client_context", "server_context"]


def client_context(tls: TlsSettings) -> ssl.SSLContext:
    """Return the context of a client. Raises ConfigurationError where the certificates are unusable."""
    try:
        roots = None if tls.root_certificates is None else tls.root_certificates.decode("ascii")
        context = ssl.create_default_context(cadata=roots)
        if tls.certificate_chain is not None and tls.private_key is not None:
            _load_pair(context, tls.certificate_chain, tls.private_key)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigurationError(f"the certificates of the signalling are unusable: {error}") from error
    return context


def server_context(chain: bytes, key: bytes, client_roots: bytes | None = None) -> ssl.SSLContext:
    """Return the context of a server; with `client_roots` it asks for a client's certificate too.

    Raises ConfigurationError where the certificates are unusable.
    """
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        _load_pair(context, chain, key)
        if client_roots is not None:
            context.load_verify_locations(cadata=client_roots.decode("ascii"))
            context.verify_mode = ssl.CERT_REQUIRED
    except (ssl.SSLError, ValueError) as error:
        raise ConfigurationError(f"the certificates of the signalling are unusable: {error}") from error
    return context


def _load_pair(context: ssl.SSLContext, chain: bytes, key: bytes) -> None:
    # OpenSSL reads a private key from a file only; the folder is readable by this user alone, and goes.
    with tempfile.TemporaryDirectory() as folder:
        certificates, private = Path(folder, "chain.pem"), Path(folder, "key.pem")
        certificates.write_bytes(chain)
        private.write_bytes(key)
        context.load_cert_chain(certificates, private)
