"""Taking secrets out of what is recorded, before it reaches the file.

Three things are looked at: names that tell of a secret (headers, metadata, query parameters),
names that a person has given (the same, and fields of JSON bodies), and the credentials that a
call itself has shown, wherever they turn up again in its texts and messages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final
from urllib.parse import quote, unquote_plus

from rpe.fakes.cassette.lines import Pair

__all__ = ["SCRUBBED", "UNSCRUBBABLE", "Known", "Scrubber"]

SCRUBBED: Final = "scrubbed"
"""What stands in the place of a secret. It is always the same, so that recordings can be compared."""

UNSCRUBBABLE: Final = b"not kept: fields were to be scrubbed, and this cannot be read as JSON"

_ALWAYS: Final = frozenset(
    {"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "api-key"}
)
_SECRET_NAME: Final = re.compile(
    r"(?i)token|secret|passw(or)?d|api[-_]?key|signature|credential|^(key|sig|auth|jwt)$"
)
_SHORTEST: Final = 8
"""What is shorter, or a number, is not looked for in messages: it would be found by chance."""

_DATA: Final = re.compile(rb"^data: ?")

_COOKIE: Final = re.compile(r"=([^;,\s]+)")


class Known:
    """Credentials that a call has shown, by their bytes. Its repr shows none."""

    __slots__ = ("_forms",)

    def __init__(self) -> None:
        self._forms: list[bytes] = []

    def add(self, secret: str) -> None:
        """Look for a secret from now on; for each part of it, where it is a scheme and a token."""
        for part in (secret, *secret.split()):
            for form in (part, quote(part, safe="")):
                found = form.encode()
                if len(form) < _SHORTEST or form.isdecimal() or part == SCRUBBED:
                    continue
                if found not in self._forms:
                    self._forms.append(found)
        self._forms.sort(key=len, reverse=True)

    def hide(self, text: str) -> str:
        """Return a text without them."""
        for form in self._forms:
            text = text.replace(form.decode(), SCRUBBED)
        return text

    def mask(self, data: bytes) -> bytes:
        """Return bytes without them, and of the same length: a message stays readable to its parser."""
        for form in self._forms:
            if form in data:
                data = data.replace(form, b"x" * len(form))
        return data

    def __repr__(self) -> str:
        return f"Known({len(self._forms)} forms)"


class Scrubber:
    """Scrubs by name. `names` are those of metadata keys, headers, query parameters and JSON fields.

    A name with dots is a path of JSON fields, anywhere in a body: `auth.token` is the `token` of
    every `auth`. Lists on the way are gone through.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names = tuple(dict.fromkeys(name for name in names if name))
        self._plain = frozenset(name.lower() for name in self.names if "." not in name)
        self._paths = tuple(tuple(name.split(".")) for name in self.names)

    @property
    def reads_bodies(self) -> bool:
        """Whether fields of JSON are scrubbed."""
        return bool(self._paths)

    def is_secret(self, key: str) -> bool:
        """Whether the value of a metadata key, a header or a query parameter is a secret."""
        lowered = key.lower().removesuffix("-bin")
        return (
            lowered in _ALWAYS
            or key.lower() in self._plain
            or lowered in self._plain
            or bool(_SECRET_NAME.search(lowered))
        )

    def pairs(self, pairs: Iterable[Pair], known: Known) -> tuple[Pair, ...]:
        """Scrub metadata or headers; the credentials among them are known from then on."""
        given = list(pairs)
        for key, value in given:
            if self.is_secret(key):
                known.add(value)
                if "cookie" in key.lower():
                    for part in _COOKIE.findall(value):
                        known.add(part)
        return tuple(
            (key, SCRUBBED if self.is_secret(key) else known.hide(self.target(value, known)))
            for key, value in given
        )

    def target(self, target: str, known: Known) -> str:
        """Scrub the query of a path or a URL."""
        before, mark, query = target.partition("?")
        if not mark:
            return known.hide(target)
        query, hash_mark, fragment = query.partition("#")
        return known.hide(before) + mark + self._form(query, known) + hash_mark + known.hide(fragment)

    def body(self, data: bytes, known: Known) -> bytes:
        """Scrub fields of JSON: one value, or one in each line. What is neither is not kept."""
        if not self.reads_bodies or not data.strip():
            return known.mask(data)
        try:
            done = self._json(data, known)
        except ValueError:
            try:
                lines = data.splitlines()
                done = b"\n".join(self._json(line, known) if line.strip() else line for line in lines)
                done += b"\n" if data.endswith(b"\n") else b""
            except ValueError:
                return UNSCRUBBABLE
        return known.mask(done)

    def form(self, data: bytes, known: Known) -> bytes:
        """Scrub fields of a form, as a browser posts it."""
        try:
            return known.mask(self._form(data.decode("ascii"), known).encode())
        except UnicodeDecodeError:
            return UNSCRUBBABLE if self.reads_bodies else known.mask(data)

    def server_event(self, data: bytes, known: Known) -> bytes:
        """Scrub fields of the JSON in the data of a server-sent event. Data that is not JSON stays."""
        if not self.reads_bodies:
            return known.mask(data)
        parts = re.split(rb"(\r\n|\n|\r)", data)  # the lines at even places, their ends between them
        lines = [at for at in range(0, len(parts), 2) if _DATA.match(parts[at])]
        values = [_DATA.sub(b"", parts[at], count=1) for at in lines]
        try:
            whole = b"\n".join(values)
            done = self._json(whole, known) if len(values) > 1 else whole
        except ValueError:
            done = whole
        if done != whole:  # JSON over several lines becomes that of one
            parts[lines[0]] = b"data: " + done
            for at in reversed(lines[1:]):
                del parts[at : at + 2]
        else:
            for at, value in zip(lines, values, strict=True):
                try:
                    parts[at] = parts[at].removesuffix(value) + self._json(value, known)
                except ValueError:
                    pass
        return known.mask(b"".join(parts))

    def _form(self, form: str, known: Known) -> str:
        parts = []
        for part in form.split("&"):
            name, equals, value = part.partition("=")
            if equals and self.is_secret(unquote_plus(name)):
                known.add(unquote_plus(value))
                value = SCRUBBED
            parts.append(f"{name}{equals}{known.hide(value)}")
        return "&".join(parts)

    def _json(self, data: bytes, known: Known) -> bytes:
        """Return JSON without its secrets; the very same bytes where it has none. Raises ValueError."""
        value = json.loads(data)
        found: list[Any] = []
        for path in self._paths:
            _scrub(value, path, found)
        for secret in found:
            if isinstance(secret, str) and secret != SCRUBBED:
                known.add(secret)
        if not found:
            return data
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _scrub(value: Any, path: Sequence[str], found: list[Any]) -> None:
    """Scrub what lies at a path that begins anywhere in a value, and add it to what was found."""
    if isinstance(value, dict):
        _scrub_at(value, path, found)
        for inner in value.values():
            _scrub(inner, path, found)
    elif isinstance(value, list):
        for inner in value:
            _scrub(inner, path, found)


def _scrub_at(value: Any, path: Sequence[str], found: list[Any]) -> None:
    """Scrub what lies at a path that begins in this very value."""
    if isinstance(value, list):
        for inner in value:
            _scrub_at(inner, path, found)
    elif isinstance(value, dict) and path[0] in value:
        if len(path) > 1:
            _scrub_at(value[path[0]], path[1:], found)
        else:
            found.append(value[path[0]])
            value[path[0]] = SCRUBBED
