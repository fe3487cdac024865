"""`rpe fake`: a fake pipeline server as a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rpe.cli.failing import Debug, told
from rpe.cli.fake_options import (
    AllowScripts,
    ControlHost,
    ControlPortNumber,
    ControlTokenEnv,
    TlsCert,
    TlsKey,
    control_of,
    tls_pair,
)

__all__ = ["fake"]


@told
def fake(
    ctx: typer.Context,
    host: Annotated[str, typer.Option(help="The address to serve on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 50051,
    name: Annotated[str, typer.Option(help="What the journal calls this server.")] = "a",
    transport: Annotated[str, typer.Option(help="The wire that it speaks.")] = "grpc",
    behaviour: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Its script, in YAML; without one it is an honest server."),
    ] = None,
    journal: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A file to write the journal to, a line of JSON per entry."),
    ] = None,
    seed: Annotated[int, typer.Option(help="What all chance is drawn from: rates and latencies repeat.")] = 0,
    allow_scripts: AllowScripts = False,
    control_port: ControlPortNumber = None,
    control_host: ControlHost = "127.0.0.1",
    control_token_env: ControlTokenEnv = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    debug: Debug = False,
) -> None:
    """Serve as a fake pipeline server until Ctrl-C.

    A fake of another service: `rpe fake generate PROTO... -o DIR` writes a definition from its contract,
    and `rpe fake serve DIR --grpc-port PORT` serves it. Ready-made pipelines: `rpe fake serve echo`.
    """
    if ctx.invoked_subcommand is not None:
        _refuse_options(ctx)
        return
    import asyncio

    from rpe.fakes.standalone import serve

    asyncio.run(
        serve(
            name=name,
            transport=transport,
            host=host,
            port=port,
            behaviour=behaviour,
            journal=journal,
            seed=seed,
            tls=tls_pair(tls_cert, tls_key),
            allow_scripts=allow_scripts,
            control=control_of(control_port, control_host, control_token_env),
        )
    )


def _refuse_options(ctx: typer.Context) -> None:
    """Refuse options of the pipeline server's before a command that would never look at them."""
    from rpe.errors import ConfigurationError

    for name in ctx.params:
        source = ctx.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE" and name != "debug":
            raise ConfigurationError(
                f"--{name.replace('_', '-')} stands before {ctx.invoked_subcommand}, which does not take it",
                hint=f"`rpe fake {ctx.invoked_subcommand} --help` shows the options that it has",
            )
