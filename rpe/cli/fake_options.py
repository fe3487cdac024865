"""Options that the commands of `rpe fake` share: certificates, and the port that a fake is controlled at."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rpe.errors import ConfigurationError

if TYPE_CHECKING:
    from rpe.fakes.control.hosting import ControlPort

__all__ = [
    "AllowScripts",
    "ControlHost",
    "ControlPortNumber",
    "ControlTokenEnv",
    "TlsCert",
    "TlsKey",
    "control_of",
    "tls_pair",
]

TlsCert = Annotated[
    Path | None,
    typer.Option("--tls-cert", metavar="FILE", help="Its certificate chain, PEM: calls come by TLS."),
]
TlsKey = Annotated[
    Path | None, typer.Option("--tls-key", metavar="FILE", help="The key of its certificate, PEM.")
]
AllowScripts = Annotated[
    bool, typer.Option("--allow-scripts", help="Follow the script that a call brings, for that call.")
]
ControlPortNumber = Annotated[
    int | None,
    typer.Option(
        "--control-port", min=0, max=65535, help="Serve the control API at this port; 0 takes a free one."
    ),
]
ControlHost = Annotated[
    str, typer.Option("--control-host", help="The address that the control API is served on.")
]
ControlTokenEnv = Annotated[
    str | None,
    typer.Option(
        "--control-token-env",
        metavar="NAME",
        help="An environment variable that holds the bearer token without which the control API refuses.",
    ),
]


def tls_pair(cert: Path | None, key: Path | None) -> tuple[bytes, bytes] | None:
    """Return a certificate chain and its key. Raises ConfigurationError where one of them lacks."""
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        raise ConfigurationError("--tls-cert and --tls-key go together")
    return cert.read_bytes(), key.read_bytes()


def control_of(port: int | None, host: str, token_env: str | None) -> ControlPort | None:
    """Return where a fake is controlled. Raises ConfigurationError where the token is not there."""
    from rpe.fakes.control.hosting import ControlPort

    if port is None:
        if token_env is not None:
            raise ConfigurationError("--control-token-env goes with --control-port")
        return None
    if token_env is None:
        return ControlPort(port, host)
    token = os.environ.get(token_env)
    if not token:
        raise ConfigurationError(f"the environment variable {token_env} is not set, or empty")
    return ControlPort(port, host, token)
