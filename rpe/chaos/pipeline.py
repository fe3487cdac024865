"""The pipeline of a scenario: a whole manifest, or one node of a type that goes by a short name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rpe.manifest.model import Manifest

__all__ = ["pipeline_of"]


def pipeline_of(manifest: str | Mapping[str, Any]) -> Manifest:
    """Return the manifest that a scenario asks for.

    A short name is a node type that the fakes have, in any case and with or without
    hyphens (`upper-case` is UpperCase); any other name is taken as it is, for a pipeline
    that the servers do not know. Raises ManifestInvalid where the result breaks its rules.
    """
    if not isinstance(manifest, str):
        return Manifest.from_dict(manifest)
    from rpe.fakes.nodes import BUILT_IN

    known = {_plain(name): name for name in BUILT_IN}
    return Manifest.single(_plain(manifest), node_type=known.get(_plain(manifest), manifest))


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")
