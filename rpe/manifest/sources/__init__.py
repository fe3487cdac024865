"""Where manifests come from: written inline, fetched from a URL, or predefined by name."""

from __future__ import annotations

from rpe.manifest.sources.fetcher import ManifestFetcher
from rpe.manifest.sources.settings import FetchSettings
from rpe.manifest.sources.source import InlineSource, ManifestSource, NamedSource, UrlSource, read_source
from rpe.manifest.sources.variables import expand

__all__ = [
    "FetchSettings",
    "InlineSource",
    "ManifestFetcher",
    "ManifestSource",
    "NamedSource",
    "UrlSource",
    "expand",
    "read_source",
]
