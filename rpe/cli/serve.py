"""`rpe serve`: a pipeline server as a process of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from rpe.cli.failing import Debug, told
from rpe.errors import ConfigurationError

__all__ = ["serve"]


@told
def serve(
    transport: Annotated[str, typer.Option(help="The wire that it speaks.")] = "grpc",
    host: Annotated[str, typer.Option(help="The address to serve on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 50051,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The bearer tokens that are good, one a line; read anew on change."
        ),
    ] = None,
    token_env: Annotated[
        str | None, typer.Option(metavar="NAME", help="An environment variable that holds the bearer token.")
    ] = None,
    cert: Annotated[Path | None, typer.Option(metavar="FILE", help="Its certificate chain, PEM.")] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="The key of its certificate, PEM.")] = None,
    client_ca: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Whose certificates callers must have, PEM.")
    ] = None,
    variable: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="An environment variable that remote nodes in callers' pipelines may use as a credential.",
        ),
    ] = None,
    runs: Annotated[int, typer.Option(min=1, help="How many executions run at once.")] = 64,
    sessions: Annotated[int, typer.Option(min=1, help="How many sessions run at once.")] = 64,
    grace: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="How long calls may go on when it is stopped.")
    ] = 10.0,
    debug: Debug = False,
) -> None:
    """Serve the node types that are installed here until SIGTERM or Ctrl-C."""
    import asyncio

    from rpe.node.remote.options import RemoteOptions
    from rpe.node.serving.admission import ServiceLimits, TokenRule
    from rpe.node.serving.standalone import serve
    from rpe.node.serving.tokens import TokenFile

    if token_file is not None and token_env is not None:
        raise ConfigurationError("--token-file and --token-env say the same thing: give one of them")
    token: TokenRule = None
    if token_file is not None:
        token = TokenFile(token_file)
    elif token_env is not None:
        token = _variable(token_env)
    if (cert is None) != (key is None):
        raise ConfigurationError("--cert and --key go together")
    if client_ca is not None and cert is None:
        raise ConfigurationError("--client-ca needs --cert and --key: callers show theirs by TLS only")
    asyncio.run(
        serve(
            transport,
            host,
            port,
            token=token,
            limits=ServiceLimits(runs=runs, sessions=sessions),
            remote=RemoteOptions(environment={name: _variable(name) for name in variable or ()}, files=False),
            certificate_chain=_content(cert),
            private_key=_content(key),
            client_root_certificates=_content(client_ca),
            grace_s=grace,
        )
    )


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise ConfigurationError(f"the environment variable {name} is not set, or empty")
    return value


def _content(file: Path | None) -> bytes | None:
    return None if file is None else file.read_bytes()
