"""What fetching manifests may do; the defaults are for manifests that strangers wrote."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from rpe.errors import ConfigurationError

__all__ = ["FetchSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchSettings:
    """Limits of one `ManifestFetcher`.

    Arguments:
        total_timeout_s: how long one fetch may take, names, redirects and body included.
        max_bytes: the largest manifest.
        max_redirects: how many redirects are followed in one fetch.
        ttl_s: how long a manifest is used again without asking its server; 0 for never.
        max_entries: how many manifests are kept; the one fetched longest ago goes first.
        allowed_hosts: the only hosts that are talked to, redirects included; `*.example.org` stands for
            all below `example.org`. None for any host.
        allowed_networks: addresses that are talked to though they are private, loopback,
            link-local or otherwise not public, such as `127.0.0.0/8`.
        allow_clear_credentials: let an auth_header travel without TLS to an address that is not loopback.
        content_types: the media types that are read; any `+json` and `+yaml` is read as well.
    """

    total_timeout_s: float = 10.0
    max_bytes: int = 1024 * 1024
    max_redirects: int = 5
    ttl_s: float = 60.0
    max_entries: int = 256
    allowed_hosts: tuple[str, ...] | None = None
    allowed_networks: tuple[str, ...] = ()
    allow_clear_credentials: bool = False
    content_types: tuple[str, ...] = ("application/json", "text/json", "application/yaml", "text/yaml")

    def __post_init__(self) -> None:
        for name in ("total_timeout_s", "max_bytes", "max_entries"):
            if not getattr(self, name) > 0:
                raise ConfigurationError(f"{name} is {getattr(self, name)}, but must be above 0")
        for name in ("max_redirects", "ttl_s"):
            if not getattr(self, name) >= 0:
                raise ConfigurationError(f"{name} is {getattr(self, name)}, but must not be negative")
        for network in self.allowed_networks:
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                raise ConfigurationError(f"allowed_networks: {error}") from error

    def allows_host(self, host: str) -> bool:
        """Whether the host, in lower case, is on the list of those that may be talked to."""
        if self.allowed_hosts is None:
            return True
        return any(
            host.endswith(entry[1:]) if entry.startswith("*.") else host == entry
            for entry in map(str.lower, self.allowed_hosts)
        )
