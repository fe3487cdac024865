"""Gets manifests from their sources, safely, and not more often than needed."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.errors import ConfigurationError, ManifestFetchFailed, ManifestInvalid, RpeError
from rpe.hiding import Secrets, credentials
from rpe.manifest.model import Manifest
from rpe.manifest.sources.flights import FlightsClosed, SingleFlight
from rpe.manifest.sources.settings import FetchSettings
from rpe.manifest.sources.source import InlineSource, ManifestSource, NamedSource, UrlSource
from rpe.manifest.sources.variables import has_variable

if TYPE_CHECKING:
    from rpe.manifest.sources.exchange import Validator
    from rpe.manifest.sources.resolver import Lookup

__all__ = ["ManifestFetcher"]

_Key = tuple[str, str | None]


@dataclass(slots=True)
class _Entry:
    manifest: Manifest
    validator: Validator | None = field(repr=False)
    fetched_s: float


class ManifestFetcher:
    """Gives the manifest of a source; what was fetched is kept for a while.

    A kept manifest is given without asking for `settings.ttl_s`; then its server is asked whether it
    changed, if it gave an ETag. Manifests are kept apart by URL and by credential. Equal fetches
    at one time are one request. Fetching follows `FetchSettings`, and never sends
    a credential to another origin.

    Arguments:
        settings: the limits.
        clock: measures the age of what is kept, and the time that a fetch takes.
        pipelines: the predefined pipelines, by name.
        lookup: from a name to its addresses, in place of the system's resolver; the addresses
            are checked all the same.
        ssl_context: the certificates to trust for https; None for the system's.
    """

    def __init__(
        self,
        settings: FetchSettings | None = None,
        *,
        clock: Clock = SYSTEM_CLOCK,
        pipelines: Mapping[str, Manifest] | None = None,
        lookup: Lookup | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._settings = settings or FetchSettings()
        self._clock = clock
        self._pipelines = dict(pipelines or {})
        self._lookup = lookup
        self._ssl_context = ssl_context
        self._kept: dict[_Key, _Entry] = {}
        self._flights = SingleFlight[Manifest]()

    def __repr__(self) -> str:
        return f"ManifestFetcher(kept={len(self._kept)}, pipelines={len(self._pipelines)})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End all fetches, which fail for whoever waits for them, and forget all manifests."""
        await self._flights.close()
        self._kept.clear()

    async def fetch(self, source: ManifestSource) -> Manifest:
        """The manifest of a source whose variables are replaced.

        Raises ManifestFetchFailed where it cannot be had, ManifestInvalid where it was had and
        breaks the rules, and ConfigurationError for an unknown name or an auth_header that cannot be sent.
        A cancelled or failed fetch leaves nothing running, unless somebody else waits for the same.
        """
        if isinstance(source, InlineSource):
            return source.manifest
        if isinstance(source, NamedSource):
            return self._predefined(source.name)
        _check_header(source.auth_header)
        key = (source.url.text, source.auth_header)
        entry = self._kept.get(key)
        if entry is not None and self._clock.now() - entry.fetched_s < self._settings.ttl_s:
            return entry.manifest
        try:
            return await self._flights.do(key, lambda: self._refresh(source, key))
        except RpeError as error:
            # The server has the header, and may have quoted it in what it answered.
            Secrets(credentials(source.auth_header)).hide_in(error)
            raise
        except FlightsClosed as error:
            raise ManifestFetchFailed(
                f"cannot fetch the manifest at {source.url}: the fetcher is closed", retryable=False
            ) from error

    def _predefined(self, name: str) -> Manifest:
        manifest = self._pipelines.get(name)
        if manifest is None:
            known = ", ".join(sorted(self._pipelines)) or "none"
            raise ConfigurationError(
                f"no pipeline {name!r} is predefined; known: {known}",
                hint="give a manifest_endpoint to fetch it from, or predefine it",
            )
        return manifest

    async def _refresh(self, source: UrlSource, key: _Key) -> Manifest:
        try:  # here, because aiohttp is heavy and most pipelines fetch nothing
            from rpe.manifest.sources.exchange import get
            from rpe.manifest.sources.resolver import system_lookup
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                f"fetching manifests needs {error.name}", hint="pip install 'rpe[http]'"
            ) from error

        old = self._kept.get(key)
        timeout_s = self._settings.total_timeout_s
        try:
            async with self._clock.deadline(self._clock.now() + timeout_s):
                answer = await get(
                    source.url,
                    auth_header=source.auth_header,
                    known=old.validator if old else None,
                    settings=self._settings,
                    lookup=self._lookup or system_lookup,
                    ssl_context=self._ssl_context,
                )
        except TimeoutError as error:
            raise ManifestFetchFailed(
                f"cannot fetch the manifest at {source.url}: it took longer than {timeout_s:g} s"
            ) from error
        if answer.body is not None:
            manifest = _parse(answer.body, source, yaml=answer.yaml)
        elif old is not None:
            manifest = old.manifest
        else:  # a server is only asked for changes of what is kept
            raise AssertionError("not modified, but nothing is kept")
        self._kept.pop(key, None)
        self._kept[key] = _Entry(manifest, answer.validator, self._clock.now())
        if len(self._kept) > self._settings.max_entries:
            del self._kept[next(iter(self._kept))]
        return manifest


def _parse(body: bytes, source: UrlSource, *, yaml: bool) -> Manifest:
    try:
        return Manifest.from_yaml(body) if yaml else Manifest.from_json(body)
    except ManifestInvalid as error:
        raise ManifestInvalid(
            f"the manifest at {source.url} is not valid", problems=error.problems or [error.message]
        ) from error


def _check_header(value: str | None) -> None:
    if value is None:
        return
    if has_variable(value):
        raise ConfigurationError(
            "auth_header still holds a variable", hint="replace the variables of the source first: expanded()"
        )
    if not value.isascii() or not value.isprintable():
        raise ConfigurationError(
            "auth_header holds a character that a header cannot carry",
            hint="look for a line end in the value of its variable",
        )
