"""Where the pools of a scenario are in one run: the pipeline of the client with addresses and credentials."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rpe.chaos.scenario.model import Scenario
from rpe.chaos.scenario.pooling import fallback_pools, remote_nodes, wires
from rpe.chaos.scenario.pools import POOL
from rpe.chaos.world.tokens import TokenFiles
from rpe.fakes.certificates import Authority, Certificate
from rpe.manifest.model import Manifest

__all__ = ["Places"]


@dataclass(frozen=True)
class Places:
    """What the pools of one run have besides their servers: wires, certificates, tokens.

    The files that clients read are in the folder it was made with: one with the authority and one with
    the token of each pool that has them. The keys of authorities are never written.
    """

    scenario: Scenario
    transport: str
    wires: Mapping[str, str]
    certificates: Mapping[str, Certificate]
    tokens: TokenFiles
    _authorities: Mapping[str, Path] = field(default_factory=dict)

    @classmethod
    def make(cls, scenario: Scenario, transport: str, folder: Path) -> Places:
        """Issue certificates and write the files. Nothing of it depends on where the servers will be."""
        certificates: dict[str, Certificate] = {}
        authorities: dict[str, Path] = {}
        for name, pool in scenario.pools.items():
            if pool.tls:
                authority = Authority(name)
                authorities[name] = folder / f"{name}.pem"
                authorities[name].write_bytes(authority.certificate)
                certificates |= {server: authority.issue(server) for server in pool.servers}
        pools = {name: pool.servers for name, pool in scenario.pools.items()}
        demanded = {name: script.token for name, script in scenario.servers.items()}
        return cls(
            scenario,
            transport,
            wires(scenario, transport),
            certificates,
            TokenFiles(folder, pools, demanded),
            authorities,
        )

    def manifest(self, endpoints: Mapping[str, str]) -> Manifest:
        """Return the pipeline of the client, with the addresses of each pool in its remote nodes.

        Raises ManifestInvalid where it breaks the rules of manifests.
        """
        written: dict[str, Any] = copy.deepcopy(dict(self.scenario.manifest))  # type: ignore[arg-type]
        for _, node in remote_nodes(written):
            params: Any = node["params"]
            steps: list[Any] = [params, *(step for _, step in fallback_pools(node))]
            for step in steps:
                step |= self._place(step.pop(POOL), endpoints)
        return Manifest.from_dict(written)

    def _place(self, name: str, endpoints: Mapping[str, str]) -> dict[str, Any]:
        pool = self.scenario.pools[name]
        place: dict[str, Any] = {
            "transport": pool.transport or self.transport,
            "endpoints": [endpoints[server] for server in pool.servers],
        }
        if name in self._authorities:
            place["tls"] = {"ca_file": str(self._authorities[name])}
        if (path := self.tokens.path(name)) is not None:
            place["auth_token_file"] = str(path)
        return place
