"""`rpe fake serve`: definitions of services, or a pipeline, as a process of its own."""

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
from rpe.errors import ConfigurationError

__all__ = ["serve"]

DEFAULT_GRPC_PORT = 50051
_GARBAGE_AFTER = 50_000
"""How many objects are added before the youngest are looked through: at the start, hardly any is garbage."""


@told
def serve(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="A definition, a folder of them, the file of a pipeline, or the name of a ready-made one.",
        ),
    ],
    host: Annotated[str, typer.Option(help="The address to serve on.")] = "127.0.0.1",
    grpc_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="The port for gRPC; 0 takes a free one. Without any port it is gRPC at 50051.",
        ),
    ] = None,
    http_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="The port for HTTP: the Connect protocol for definitions, rpe's own for pipelines.",
        ),
    ] = None,
    webrtc_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="The port for WebRTC's signalling (pipelines).")
    ] = None,
    control_port: ControlPortNumber = None,
    control_host: ControlHost = "127.0.0.1",
    control_token_env: ControlTokenEnv = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_client_ca: Annotated[
        Path | None,
        typer.Option("--tls-client-ca", metavar="FILE", help="Whose certificates callers must have, PEM."),
    ] = None,
    journal: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A file to write the journal to, a line of JSON per entry."),
    ] = None,
    seed: Annotated[int, typer.Option(help="What all chance is drawn from: rates and delays repeat.")] = 0,
    allow_scripts: AllowScripts = False,
    no_watch: Annotated[
        bool, typer.Option("--no-watch", help="Read the files anew on SIGHUP only, not when they change.")
    ] = False,
    channelz: Annotated[
        bool, typer.Option("--channelz", help="Serve channelz, too: what gRPC counts (definitions).")
    ] = False,
    debug: Debug = False,
) -> None:
    """Serve fakes from files until SIGTERM or Ctrl-C, and read the files anew when they change."""
    import asyncio
    import gc

    gc.set_threshold(_GARBAGE_AFTER)
    from rpe.fakes.control.what import is_pipeline, named_file

    path = named_file(what)
    tls = tls_pair(tls_cert, tls_key)
    if tls_client_ca is not None and tls is None:
        raise ConfigurationError("--tls-client-ca needs --tls-cert and --tls-key: callers show theirs by TLS")
    roots = None if tls_client_ca is None else tls_client_ca.read_bytes()
    with_roots = None if tls is None else (*tls, roots)
    controls = control_of(control_port, control_host, control_token_env)
    given = {"grpc": grpc_port, "http": http_port, "webrtc": webrtc_port}
    ports = {wire: port for wire, port in given.items() if port is not None} or {"grpc": DEFAULT_GRPC_PORT}
    if is_pipeline(path):
        _refuse("a pipeline", {"--channelz": channelz})
        from rpe.fakes.control.pipeline_process import serve_pipeline

        serving = serve_pipeline(
            path,
            ports,
            host=host,
            tls=with_roots,
            journal=journal,
            seed=seed,
            allow_scripts=allow_scripts,
            watch=not no_watch,
            control=controls,
        )
    else:
        _refuse(
            "definitions of services", {"--webrtc-port": "webrtc" in ports, "--allow-scripts": allow_scripts}
        )
        from rpe.fakes.control.definition_process import serve as serve_definitions

        serving = serve_definitions(
            path,
            host=host,
            port=ports.get("grpc"),
            http_port=ports.get("http"),
            tls=with_roots,
            journal=journal,
            seed=seed,
            watch=not no_watch,
            channelz=channelz,
            control=controls,
        )
    asyncio.run(serving)


def _refuse(what: str, given: dict[str, bool]) -> None:
    """Refuse options that would be looked at by nobody."""
    if named := [option for option, is_given in given.items() if is_given]:
        raise ConfigurationError(f"{', '.join(named)}: not for {what}")
