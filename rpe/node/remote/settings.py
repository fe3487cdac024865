"""What the params of a remote node come to, once they are read: pools, steps to fall back on, limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rpe.client.settings import ClientSettings
from rpe.manifest.model import Manifest
from rpe.manifest.sources.source import ManifestSource
from rpe.policy.chain_step import ChainSettings
from rpe.transport.ports import Metadata

__all__ = ["CachedSpec", "Fallback", "LocalSpec", "PoolSpec", "RemoteSettings", "TlsFiles"]


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: whom to trust (None: the system's authorities), a client's certificate for mutual TLS."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    server_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSpec:
    """Endpoints of one wire that run one pipeline.

    auth_token: as it was written: variables are replaced when the node is opened.
    timeout_s: what an operation may take here, where the pool is a step that is fallen back on.
    extra_config: further settings of the transport.
    """

    name: str
    transport: str
    endpoints: tuple[str, ...]
    source: ManifestSource
    client: ClientSettings
    timeout_s: float | None = None
    auth_token: str | None = field(default=None, repr=False)
    auth_token_file: str | None = None
    tls: TlsFiles | None = None
    extra_config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    where: str = "params"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSpec:
    """A pipeline that runs here where all pools before it have failed."""

    name: str
    manifest: Manifest
    timeout_s: float | None = None
    where: str = "params"


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedSpec:
    """The last good answer to the same input, where it is not too old."""

    name: str
    max_age_s: float


Fallback = PoolSpec | LocalSpec | CachedSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteSettings:
    """All params of a remote node.

    timeout_s: how long an execution may take, fallbacks included; of a session: its opening, and how
        long a server that has all chunks, or takes no more of them, may be silent.
    repeatable: whether doing an item twice is harmless.
    metadata: pairs that travel with each call, to whichever step; no place for credentials.
    check_node_types: whether the servers are asked, when the node is opened, for the node types they have.
    """

    primary: PoolSpec
    timeout_s: float
    repeatable: bool
    metadata: Metadata = field(default=(), repr=False)
    check_node_types: bool = True
    fallback: tuple[Fallback, ...] = ()
    chain: ChainSettings = field(default_factory=ChainSettings)

    @property
    def pools(self) -> tuple[PoolSpec, ...]:
        """The primary pool, and those that are fallen back on."""
        return (self.primary, *(step for step in self.fallback if isinstance(step, PoolSpec)))
