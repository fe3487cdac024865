"""Where a pipeline's manifest comes from, read from the params of a remote node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rpe.errors import ManifestInvalid
from rpe.manifest.model import Manifest
from rpe.manifest.sources.urls import Url, named_url, parse_url
from rpe.manifest.sources.variables import expand

__all__ = ["InlineSource", "ManifestSource", "NamedSource", "UrlSource", "read_source"]


@dataclass(frozen=True, slots=True)
class InlineSource:
    """The manifest is written out where it is used."""

    manifest: Manifest

    def expanded(self, environment: Mapping[str, str]) -> InlineSource:
        """Itself: its own variables are those of the machine that runs it."""
        return self


@dataclass(frozen=True, slots=True)
class UrlSource:
    """The manifest is fetched from a URL.

    auth_header: the value of the `Authorization` header that goes with it, as it was written,
        or as `expanded` made it.
    """

    url: Url
    auth_header: str | None = field(default=None, repr=False)

    def expanded(self, environment: Mapping[str, str]) -> UrlSource:
        """The same source with the variables in `auth_header` replaced. Raises ConfigurationError."""
        if self.auth_header is None:
            return self
        return replace(self, auth_header=expand(self.auth_header, environment, "auth_header"))


@dataclass(frozen=True, slots=True)
class NamedSource:
    """The manifest is the one that is registered under a name in the process that asks for it."""

    name: str

    def expanded(self, environment: Mapping[str, str]) -> NamedSource:
        """Itself: nothing in it may hold a variable."""
        return self


ManifestSource = InlineSource | UrlSource | NamedSource
"""A name with an endpoint is a `UrlSource`: the name is only a part of its URL."""

_FLAT = {"inline": "manifest", "url": "manifest_url", "name": "pipeline_name"}
_TAGGED = {
    "inline": ("manifest",),
    "url": ("url", "manifest_url"),
    "name": ("name", "pipeline_name"),
}


def read_source(params: Mapping[str, Any], where: str = "params") -> ManifestSource:
    """Read the one manifest source of a remote node, in the flat or in the tagged spelling.

    Flat: `manifest`, or `manifest_url` (+ `auth_header`), or `pipeline_name`
    (+ `manifest_endpoint`, `auth_header`). Tagged: `manifest_source` with a `type` of inline,
    url or name, and fields of the same names (also `url` and `name`).
    Variables stay as they are written; see `expanded`.
    Raises ManifestInvalid with every problem, each with its path below `where`.
    """
    tagged = params.get("manifest_source")
    flat = [kind for kind, key in _FLAT.items() if params.get(key) is not None]
    if tagged is not None:
        if flat:
            raise _invalid(
                f"{where}.manifest_source stands beside {_FLAT[flat[0]]}: only one source is possible"
            )
        return _read_tagged(tagged, f"{where}.manifest_source")
    if len(flat) != 1:
        found = " and ".join(_FLAT[kind] for kind in flat) or "none"
        raise _invalid(
            f"{where} needs one of {', '.join(_FLAT.values())} or manifest_source, but has {found}"
        )
    return _READERS[flat[0]](params, _FLAT[flat[0]], where)


def _read_tagged(tagged: Any, where: str) -> ManifestSource:
    if not isinstance(tagged, Mapping):
        raise _invalid(f"{where} must be an object, not {type(tagged).__name__}")
    kind = tagged.get("type")
    kind = kind.lower() if isinstance(kind, str) else None
    if kind not in _TAGGED:
        raise _invalid(f"{where}.type must be one of {', '.join(_TAGGED)}")
    keys = [key for key in _TAGGED[kind] if tagged.get(key) is not None]
    if len(keys) != 1:
        raise _invalid(f"{where} needs {' or '.join(_TAGGED[kind])}" + (", not both" if keys else ""))
    return _READERS[kind](tagged, keys[0], where)


def _read_inline(body: Mapping[str, Any], key: str, where: str) -> ManifestSource:
    raw = body[key]
    if isinstance(raw, Manifest):
        return InlineSource(raw)
    try:
        return InlineSource(Manifest.from_dict(raw))
    except ManifestInvalid as error:
        raise _invalid(*(f"{where}.{key}: {told}" for told in error.problems)) from error


def _read_url(body: Mapping[str, Any], key: str, where: str) -> ManifestSource:
    problems: list[str] = []
    url = _as_url(body[key], f"{where}.{key}", problems, parse_url)
    return _fetched(url, body, where, problems)


def _read_name(body: Mapping[str, Any], key: str, where: str) -> ManifestSource:
    name, endpoint = body[key], body.get("manifest_endpoint")
    if not isinstance(name, str) or not name.strip():
        raise _invalid(f"{where}.{key} must be a name")
    if endpoint is None:
        return NamedSource(name)
    problems: list[str] = []
    at = f"{where}.manifest_endpoint"
    url = _as_url(endpoint, at, problems, lambda text: named_url(text, name))
    return _fetched(url, body, where, problems)


_READERS: dict[str, Callable[[Mapping[str, Any], str, str], ManifestSource]] = {
    "inline": _read_inline,
    "url": _read_url,
    "name": _read_name,
}


def _as_url(value: Any, where: str, problems: list[str], parse: Callable[[str], Url]) -> Url | None:
    try:
        if isinstance(value, str):
            return parse(value)
        problems.append(f"{where} must be a URL, not {type(value).__name__}")
    except ValueError as error:
        problems.append(f"{where} cannot be fetched from: {error}")
    return None


def _fetched(url: Url | None, body: Mapping[str, Any], where: str, problems: list[str]) -> UrlSource:
    header = body.get("auth_header")
    if header is not None and (not isinstance(header, str) or not header.strip()):
        problems.append(f"{where}.auth_header must be the text of an Authorization header")
    if url is None or problems:
        raise _invalid(*problems)
    return UrlSource(url, header)


def _invalid(*problems: str) -> ManifestInvalid:
    return ManifestInvalid("a remote node is not valid", problems=problems)
