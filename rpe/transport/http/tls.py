"""TLS contexts from PEM that is held in memory."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path

from rpe.errors import ConfigurationError
from rpe.transport.ports import TlsSettings
from rpe.transport.serving import ServerSettings

__all__ = ["client_context", "server_context"]


def client_context(tls: TlsSettings | None) -> ssl.SSLContext:
    """Return the context of a client; without certificates it trusts what the system trusts.

    Raises ConfigurationError where a certificate or key cannot be used.
    """
    settings = tls or TlsSettings()
    try:
        roots = settings.root_certificates
        context = ssl.create_default_context(cadata=roots.decode("ascii") if roots is not None else None)
        if settings.certificate_chain is not None or settings.private_key is not None:
            _load_chain(context, settings.certificate_chain, settings.private_key)
    except (ssl.SSLError, ValueError, OSError) as error:
        raise _unusable(error) from error
    context.set_alpn_protocols(["http/1.1"])
    return context


def server_context(settings: ServerSettings) -> ssl.SSLContext | None:
    """Return the context of a server, None where it is to serve clear text.

    With `client_root_certificates` a caller needs a certificate of its own. Raises
    ConfigurationError where a certificate or key is missing or cannot be used.
    """
    chain, key, roots = settings.certificate_chain, settings.private_key, settings.client_root_certificates
    if chain is None and key is None and roots is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        _load_chain(context, chain, key)
        if roots is not None:
            context.load_verify_locations(cadata=roots.decode("ascii"))
            context.verify_mode = ssl.CERT_REQUIRED
    except (ssl.SSLError, ValueError, OSError) as error:
        raise _unusable(error) from error
    return context


def _load_chain(context: ssl.SSLContext, chain: bytes | None, key: bytes | None) -> None:
    if chain is None or key is None:
        raise ConfigurationError(
            "TLS needs both certificate_chain and private_key",
            hint="give both as PEM, or neither for clear text",
        )
    # The ssl module reads a key from a file only; this one is readable by its owner, and for a moment.
    with tempfile.TemporaryDirectory(prefix="rpe-tls-") as folder:
        path = Path(folder, "pair.pem")
        path.touch(mode=0o600)
        path.write_bytes(key.rstrip() + b"\n" + chain)
        context.load_cert_chain(path)


def _unusable(error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"the certificates cannot be used: {type(error).__name__}: {getattr(error, 'reason', '') or error}",
        hint="certificates and keys are PEM, and a key belongs to its certificate",
    )
