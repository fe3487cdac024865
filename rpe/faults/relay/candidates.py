"""ICE candidates and SDP with other addresses in them: those of the relay in place of the agents' own.

Kept are candidates of type host and srflx that speak UDP from an IPv4 address; each becomes
the address that `translate` gives for it. Left out are those that would go around the
relay, or that it cannot reach: TCP, relayed ones, IPv6, and names (mDNS). What is no candidate
by its grammar (RFC 8839, section 5.1) is left for the agent to judge.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator

from rpe.faults.relay.standin import Address

__all__ = ["Translate", "rewritten_candidate", "rewritten_sdp"]

Translate = Callable[[Address], Address | None]
"""Gives the address that stands for another; None where there is none, and the candidate is left out."""

DISCARD = ("0.0.0.0", 9)
"""What the `c=` and `m=` lines say where no candidate is known yet (RFC 8840, section 4.1.1)."""

ATTRIBUTE = "a="
PREFIX = "candidate:"
KEPT_TYPES = ("host", "srflx")

_NOWHERE = {"raddr": DISCARD[0], "rport": str(DISCARD[1])}
"""The base of a reflexive candidate is an address of the agent too: nobody needs it but for the eye."""


def rewritten_candidate(line: str, translate: Translate) -> str | None:
    """Return a candidate with its address translated, or None where it is to be left out.

    `line` may begin with `a=`, and may do without `candidate:`. An empty one, which ends
    the candidates, stays as it is.
    """
    head, fields = _fields(line)
    if fields is None:
        return line
    address = _usable(fields)
    new = None if address is None else translate(address)
    if new is None:
        return None
    fields[4], fields[5] = new[0], str(new[1])
    for position in range(8, len(fields) - 1, 2):
        if fields[position] in _NOWHERE:
            fields[position + 1] = _NOWHERE[fields[position]]
    return head + " ".join(fields)


def rewritten_sdp(sdp: str, translate: Translate) -> str:
    """Return a session description with every candidate and default address translated.

    Line ends stay as they are. `a=remote-candidates` is left out: it speaks of addresses
    that the other agent does not have.
    """
    sections = [_Section(lines, translate) for lines in _sections(sdp)]
    default = next((section.default for section in sections if section.default is not None), None)
    return "".join(section.text(default) for section in sections)


class _Section:
    """The session part of a description, or one of its media sections."""

    def __init__(self, lines: list[str], translate: Translate) -> None:
        self._lines: list[str] = []
        self.default: Address | None = None
        for line in lines:
            text = line.rstrip("\r\n")
            if text.startswith("a=remote-candidates:"):
                continue
            if text.startswith(ATTRIBUTE + PREFIX):
                new = rewritten_candidate(text, translate)
                if new is None:
                    continue
                if self.default is None and (address := _usable(_fields(new)[1])) is not None:
                    self.default = address
                line = new + line[len(text) :]
            self._lines.append(line)

    def text(self, session_default: Address | None) -> str:
        is_media = bool(self._lines) and self._lines[0].startswith("m=")
        default = self.default if is_media else session_default
        return "".join(_with_default(line, default or DISCARD) for line in self._lines)


def _with_default(line: str, default: Address) -> str:
    """Put the default address where a line says one; port 0 (rejected) and port 9 (not known yet) stay."""
    text = line.rstrip("\r\n")
    end = line[len(text) :]
    if text.startswith("m="):
        media, _, rest = text.partition(" ")
        port, _, rest = rest.partition(" ")
        if port not in ("0", "9") and port.partition("/")[0].isdigit():
            port = str(default[1])
            return f"{media} {port} {rest}{end}"
    if text.startswith("c=IN "):
        return f"c=IN IP4 {default[0]}{end}"
    if text.startswith("a=rtcp:"):
        return f"a=rtcp:9 IN IP4 0.0.0.0{end}"
    return line


def _sections(sdp: str) -> Iterator[list[str]]:
    section: list[str] = []
    for line in sdp.splitlines(keepends=True):
        if line.startswith("m=") and section:
            yield section
            section = []
        section.append(line)
    yield section


def _fields(line: str) -> tuple[str, list[str] | None]:
    """Return what stands before the fields of a candidate, and the fields; None where it is no candidate."""
    body = line.strip()
    head = ""
    for prefix in (ATTRIBUTE, PREFIX):
        if body.startswith(prefix):
            head += prefix
            body = body[len(prefix) :]
    fields = body.split()
    if len(fields) < 8 or fields[6] != "typ" or not fields[5].isdigit():
        return head, None
    return head, fields


def _usable(fields: list[str] | None) -> Address | None:
    """Return the address of a candidate that the relay can stand for."""
    if fields is None or fields[2].lower() != "udp" or fields[7] not in KEPT_TYPES:
        return None
    port = int(fields[5])
    try:
        host = ipaddress.IPv4Address(fields[4])
    except ValueError:
        return None
    if host.is_unspecified or host.is_multicast or not 0 < port < 65536 or port == DISCARD[1]:
        return None
    return str(host), port
