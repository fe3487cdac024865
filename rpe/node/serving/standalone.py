"""A pipeline server that a person or a service manager starts, and stops with a signal."""

from __future__ import annotations

import sys

from rpe.node.registry import default_registry
from rpe.node.remote.options import RemoteOptions
from rpe.node.serving.admission import ServiceLimits, TokenRule
from rpe.node.serving.server import serve_pipelines
from rpe.signals import ending_signals

__all__ = ["serve"]


async def serve(
    transport: str,
    host: str,
    port: int,
    *,
    token: TokenRule = None,
    limits: ServiceLimits | None = None,
    remote: RemoteOptions,
    certificate_chain: bytes | None = None,
    private_key: bytes | None = None,
    client_root_certificates: bytes | None = None,
    grace_s: float = 10.0,
) -> None:
    """Serve the node types of this process until SIGINT or SIGTERM; what runs then has `grace_s` seconds.

    One line on standard output, with the address, says that it serves. A second signal ends the
    process as Python does. Other arguments, and what is raised, are those of `serve_pipelines`.
    """
    async with serve_pipelines(
        transport,
        host=host,
        port=port,
        token=token,
        limits=limits,
        remote=remote,
        certificate_chain=certificate_chain,
        private_key=private_key,
        client_root_certificates=client_root_certificates,
        grace_s=grace_s,
    ) as server:
        with ending_signals() as ending:
            count = len(default_registry().names())
            sys.stdout.write(f"rpe serves {count} node types by {transport} at {server.endpoint}\n")
            sys.stdout.flush()
            await ending.wait()
