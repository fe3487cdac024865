"""What remote nodes may use of the machine that they run on."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rpe.manifest.model import Manifest
from rpe.manifest.sources.settings import FetchSettings
from rpe.telemetry.record import Observer

__all__ = ["RemoteOptions"]


def _process_environment() -> Mapping[str, str]:
    return os.environ


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteOptions:
    """Options of a runner for all remote nodes in its pipeline.

    The defaults trust the manifest as one's own. A process that runs the manifests of others must say
    what they may use: a manifest chooses both the secret and the server that it is sent to.

    Arguments:
        environment: the variables that `${VAR}` in `auth_token` and `auth_header` may name; those of
            the process by default, looked up when the node is opened.
        files: whether `auth_token_file` and `tls` may name files of this machine.
        fetch: the limits of fetching manifests.
        pipelines: the predefined pipelines, by name.
        observers: sinks that are told what the clients and fallback chains of all remote nodes do.
        seed: the source of the clients' chance, for tests; None draws one from the machine.
    """

    environment: Mapping[str, str] = field(default_factory=_process_environment, repr=False)
    files: bool = True
    fetch: FetchSettings = field(default_factory=FetchSettings)
    pipelines: Mapping[str, Manifest] = field(default_factory=dict)
    observers: Sequence[Observer] = ()
    seed: int | None = None
