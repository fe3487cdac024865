"""A URL that may be fetched from: checked, normalised, and with a form that is safe to show."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from urllib.parse import quote, urljoin, urlsplit

from rpe.errors import redact

__all__ = ["Url", "named_url", "parse_url"]

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Url:
    """An http or https URL without fragment and without credentials.

    text: the URL normalised: scheme and host in lower case, no default port, a path.
        The query may hold secrets, so this is neither shown nor logged.
    shown: the URL as an error or a log may name it: the values of the query are left out.
    """

    text: str = field(repr=False)
    scheme: str
    host: str
    port: int
    shown: str

    def __str__(self) -> str:
        return self.shown

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: who gets what is sent there (RFC 6454)."""
        return self.scheme, self.host, self.port

    @property
    def is_loopback(self) -> bool:
        """Whether it names this machine without asking any name server for more than `localhost`."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def join(self, location: str) -> Url:
        """The URL that a redirect from here leads to. Raises ValueError as `parse_url` does."""
        _check_characters(location)
        return parse_url(urljoin(self.text, location))


def parse_url(text: str) -> Url:
    """Read a URL. Raises ValueError with the reason, which quotes nothing of the URL but its scheme."""
    _check_characters(text)
    try:
        parts = urlsplit(text)
        port = parts.port
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        # The reasons of the standard library quote the authority, which may hold a password.
        raise ValueError("it is not a URL") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError(
            f"only http and https are fetched, not {parts.scheme[:20] or 'a URL without scheme'}"
        )
    if "@" in parts.netloc:
        raise ValueError("it holds a user name or a password; credentials belong in auth_header")
    if not host:
        raise ValueError("it names no host")
    _check_host(host)
    port = _DEFAULT_PORTS[parts.scheme] if port is None else port
    bracketed = f"[{host}]" if ":" in host else host
    place = bracketed if port == _DEFAULT_PORTS[parts.scheme] else f"{bracketed}:{port}"
    bare = f"{parts.scheme}://{place}{parts.path or '/'}"
    return Url(
        text=f"{bare}?{parts.query}" if parts.query else bare,
        scheme=parts.scheme,
        host=host,
        port=port,
        shown=redact(bare) + ("?..." if parts.query else ""),
    )


def named_url(endpoint: str, name: str) -> Url:
    """Where a server keeps the manifest of the pipeline of that name. Raises ValueError."""
    base = parse_url(endpoint)
    if "?" in endpoint or "#" in endpoint:
        raise ValueError("it must end with its path, without query and fragment")
    if name in (".", ".."):
        raise ValueError(f"{name!r} is no name of a pipeline")
    return parse_url(f"{base.text.rstrip('/')}/manifests/{quote(name, safe='')}")


def _check_characters(text: str) -> None:
    # What one parser strips and another keeps (controls, blanks, backslashes) makes two hosts of one URL.
    if not text.isascii() or any(char <= " " or char in "\x7f\\" for char in text):
        raise ValueError("it holds a blank, a backslash or a character that a URL must percent-encode")


def _check_host(host: str) -> None:
    """Refuse the old spellings of an IPv4 address (`127.1`, `0x7f000001`), which resolvers take for one."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        last = host.rpartition(".")[2]
        if last.isdigit() or last.startswith("0x") or ":" in host:
            raise ValueError("its host is neither a name nor an address in the usual form") from None
