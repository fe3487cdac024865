"""From what params say of credentials to what a transport takes: variables replaced, files read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rpe.errors import ConfigurationError
from rpe.manifest.sources.variables import expand
from rpe.node.remote.options import RemoteOptions
from rpe.node.remote.settings import PoolSpec, TlsFiles
from rpe.transport.credentials import FileToken
from rpe.transport.ports import TlsSettings

__all__ = ["transport_config"]


def transport_config(spec: PoolSpec, options: RemoteOptions) -> dict[str, Any]:
    """Return the settings of the pool's transport.

    Raises ConfigurationError for a variable that is not set, a file that cannot be read, and a
    file at all where the options allow none. It names variables and files, and never what they hold.
    """
    config: dict[str, Any] = dict(spec.extra_config)
    if spec.auth_token is not None:
        config["token"] = expand(spec.auth_token, options.environment, f"{spec.where}.auth_token")
    if spec.auth_token_file is not None:
        _check_files(options, f"{spec.where}.auth_token_file")
        config["token"] = FileToken(spec.auth_token_file)
    if spec.tls is not None:
        config["tls"] = _tls(spec.tls, f"{spec.where}.tls", options)
    return config


def _tls(files: TlsFiles, where: str, options: RemoteOptions) -> TlsSettings:
    def read(name: str) -> bytes | None:
        path: str | None = getattr(files, name)
        if path is None:
            return None
        _check_files(options, f"{where}.{name}")
        try:
            return Path(path).read_bytes()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
            raise ConfigurationError(f"{where}.{name}: {path} cannot be read: {reason}") from error

    return TlsSettings(
        root_certificates=read("ca_file"),
        certificate_chain=read("cert_file"),
        private_key=read("key_file"),
        server_name=files.server_name,
    )


def _check_files(options: RemoteOptions, where: str) -> None:
    if not options.files:
        raise ConfigurationError(f"{where} names a file, and this process lets no pipeline name one")
