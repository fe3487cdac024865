"""One fetch over HTTP from a server that is not trusted: redirects, checks and the body."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass, field

import aiohttp
import yarl

from rpe.errors import ManifestFetchFailed
from rpe.manifest.sources.addresses import AddressRefused, AddressRules
from rpe.manifest.sources.resolver import CheckedResolver, Lookup
from rpe.manifest.sources.settings import FetchSettings
from rpe.manifest.sources.urls import Url

__all__ = ["Answer", "Validator", "get"]

_REDIRECTS = frozenset([301, 302, 303, 307, 308])
_PASSING = frozenset([408, 425, 429, 500, 502, 503, 504])
"""Statuses that may be gone at the next try."""


@dataclass(frozen=True, slots=True)
class Validator:
    """The ETag of what was fetched before, and the URL that gave it."""

    url: str = field(repr=False)
    etag: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server gave: `body` is None where nothing changed; `yaml` says how it is written."""

    body: bytes | None = field(repr=False)
    validator: Validator | None
    yaml: bool = False


async def get(
    url: Url,
    *,
    auth_header: str | None,
    known: Validator | None,
    settings: FetchSettings,
    lookup: Lookup,
    ssl_context: ssl.SSLContext | None,
) -> Answer:
    """Fetch from a URL and from where it redirects to, on connections of this one call.

    The caller bounds the time. `auth_header` goes to the origin of `url` only, and is gone for
    good once a redirect has left it; `known` goes only to the URL that gave it.
    Raises ManifestFetchFailed. No connection is left, also after an error or a cancellation.
    """
    rules = AddressRules(settings.allowed_networks)
    connector = aiohttp.TCPConnector(
        resolver=CheckedResolver(lookup, rules),
        use_dns_cache=False,
        force_close=True,
        ssl=True if ssl_context is None else ssl_context,
    )
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
        auto_decompress=False,
        trust_env=False,  # a proxy would resolve names by itself, past the check
    ) as session:
        for _ in range(settings.max_redirects + 1):
            if auth_header is not None:
                _check_clear_text(url, settings)
            _check_place(url, settings, rules)
            answer = await _hop(session, url, auth_header, known, settings)
            if isinstance(answer, Answer):
                return answer
            if answer.origin != url.origin:
                auth_header = None
            url = answer
    raise _failed(url, f"more than {settings.max_redirects} redirects")


async def _hop(
    session: aiohttp.ClientSession,
    url: Url,
    auth_header: str | None,
    known: Validator | None,
    settings: FetchSettings,
) -> Answer | Url:
    """One request; its answer, or the URL that it redirects to."""
    # Compressed bodies are not asked for and not taken, so that the limit of bytes is the limit.
    headers = {"Accept": ", ".join(settings.content_types), "Accept-Encoding": "identity"}
    if auth_header is not None:
        headers["Authorization"] = auth_header
    asked = known if known is not None and known.url == url.text else None
    if asked is not None:
        headers["If-None-Match"] = asked.etag
    try:
        async with session.get(_target(url), headers=headers, allow_redirects=False) as response:
            if response.status in _REDIRECTS:
                return _next(url, response)
            validator = _validator(url, response)
            if response.status == 304 and asked is not None:
                return Answer(None, validator or asked)
            media_type = _check_head(url, response, settings)
            return Answer(await _body(url, response, settings), validator, media_type.endswith("yaml"))
    except AddressRefused as error:
        raise _refused(url, str(error)) from error
    except (aiohttp.ClientError, OSError) as error:
        reason = _reason(error)
    # Raised outside of the handler: the texts of these errors may hold the whole URL.
    raise _failed(url, reason, retryable=True)


def _check_place(url: Url, settings: FetchSettings, rules: AddressRules) -> None:
    if not settings.allows_host(url.host):
        raise _refused(url, "its host is not on the list of allowed hosts")
    try:
        ipaddress.ip_address(url.host)
    except ValueError:
        return  # a name: its addresses are checked when they are connected to
    try:
        rules.check(url.host)  # connectors do not ask a resolver about an address
    except AddressRefused as error:
        raise _refused(url, str(error)) from error


def _check_clear_text(url: Url, settings: FetchSettings) -> None:
    if url.scheme == "http" and not url.is_loopback and not settings.allow_clear_credentials:
        raise _refused(url, "its auth_header would travel in clear text", hint="use https")


def _target(url: Url) -> yarl.URL:
    """The URL as the HTTP client reads it: it must see the host that was checked."""
    target = yarl.URL(url.text)
    if (target.raw_host or "").rstrip(".").lower() != url.host or target.port != url.port:
        raise _refused(url, "its host can be read in two ways")
    return target


def _next(url: Url, response: aiohttp.ClientResponse) -> Url:
    location = response.headers.get("Location")
    if location is None:
        raise _failed(url, f"a redirect ({response.status}) to nowhere")
    try:
        following = url.join(location)
    except ValueError as error:
        raise _failed(url, f"a redirect that is not followed: {error}") from error
    if url.scheme == "https" and following.scheme == "http":
        raise _failed(url, "a redirect from https to http, which is not followed")
    return following


def _validator(url: Url, response: aiohttp.ClientResponse) -> Validator | None:
    etag = response.headers.get("ETag", "")
    return Validator(url.text, etag) if etag and etag.isascii() and etag.isprintable() else None


def _check_head(url: Url, response: aiohttp.ClientResponse, settings: FetchSettings) -> str:
    """Return the media type of an answer that may be read."""
    if response.status != 200:
        raise _failed(url, f"the server answered {response.status}", retryable=response.status in _PASSING)
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding != "identity":
        raise _failed(url, "the body is compressed, which was not asked for")
    declared = response.headers.get("Content-Type", "")
    media_type = declared.partition(";")[0].strip().lower()
    if media_type not in settings.content_types and not media_type.endswith(("+json", "+yaml")):
        raise _failed(url, f"the content type is {media_type[:60]!r}, not {settings.content_types[0]}")
    if response.content_length is not None and response.content_length > settings.max_bytes:
        raise _failed(
            url, f"the manifest has {response.content_length} bytes, and the limit is {settings.max_bytes}"
        )
    return media_type


async def _body(url: Url, response: aiohttp.ClientResponse, settings: FetchSettings) -> bytes:
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > settings.max_bytes:
            raise _failed(url, f"the manifest is larger than the limit of {settings.max_bytes} bytes")
    return bytes(body)


def _reason(error: Exception) -> str:
    """What went wrong in words that hold no part of the URL."""
    told = error.strerror if isinstance(error, OSError) else None
    if isinstance(error, aiohttp.ClientSSLError):
        told = "the certificate or the TLS handshake was not good"
    return f"{type(error).__name__}" + (f": {told}" if told else "")


def _refused(url: Url, reason: str, hint: str | None = None) -> ManifestFetchFailed:
    return ManifestFetchFailed(
        f"the manifest at {url} is not fetched: {reason}",
        hint=hint or "allow it in the settings of fetching, if it is meant",
        retryable=False,
    )


def _failed(url: Url, reason: str, retryable: bool = False) -> ManifestFetchFailed:
    return ManifestFetchFailed(f"cannot fetch the manifest at {url}: {reason}", retryable=retryable)
