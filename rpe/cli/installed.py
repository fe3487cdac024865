"""What is installed here, found without importing any of it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import rpe

__all__ = ["Finding", "look_around", "packages", "program"]

MINIMUM_PYTHON = (3, 11)

ANSWER_TIME_S = 5.0
"""How long a program may take to tell its version, in seconds."""

_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)[^;]*(?:;.*\bextra\s*==\s*['\"](?P<extra>[\w-]+)['\"].*)?")
_VERSION = re.compile(r"\bversion (?:go)?(\S+)|\b(\d+\.\d+\S*)")
_MODULE = re.compile(r"^\s*mod\s+\S+\s+(\S+)", re.MULTILINE)

_EXTRAS = (
    ("", "rpe itself", True),
    ("grpc", "the gRPC transport", True),
    ("http", "the HTTP transport", True),
    ("webrtc", "the WebRTC transport", False),
    ("fakes", "fake servers", True),
    ("chaos", "running scenarios", True),
    ("speed", "a faster event loop", False),
)
"""The extras from the smallest on, what each is for, and whether `rpe run` needs it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked for: `version` is None where it is missing, empty where it does not tell."""

    group: str
    name: str
    version: str | None
    needed: bool
    purpose: str
    how: str

    @property
    def missing(self) -> bool:
        """Whether it is not there."""
        return self.version is None


def look_around() -> list[Finding]:
    """Return everything that rpe can use, found or missing, in the order in which it is told."""
    tools = Path(rpe.__file__).parent.parent / ".tools" / "bin"
    return [
        _python(),
        *packages(metadata.requires("rpe") or [], _package_version),
        program(
            "toxiproxy-server",
            ["-version"],
            purpose="scenarios through a real Toxiproxy, and the tests that compare it with the embedded one",
            how="`make toxiproxy` in a checkout, where Go is installed; or https://github.com/Shopify/toxiproxy",
            also_in=tools,
        ),
        program(
            "chromium",
            ["--version"],
            purpose="the test that holds the WebRTC fake against a real browser",
            how="`make browser` in a checkout; or the package chromium of the system",
        ),
        program(
            "turnserver",
            ["--version"],
            purpose="the tests of peers behind a TURN server",
            how="`make turn` in a checkout; or the package coturn of the system",
        ),
        program("go", ["version"], purpose="building a real Toxiproxy", how="https://go.dev/doc/install"),
        program(
            "openssl",
            ["version"],
            purpose="certificates for the tests of TLS",
            how="the package openssl of the system",
        ),
    ]


def _python() -> Finding:
    wanted = ".".join(map(str, MINIMUM_PYTHON))
    found = sys.version_info[:2] >= MINIMUM_PYTHON
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding(
        "system", "Python", version if found else None, True, "everything", f"Python {wanted} or newer"
    )


def packages(requirements: Sequence[str], version_of: Callable[[str], str | None]) -> Iterator[Finding]:
    """Return the packages of each extra, each under the smallest extra that asks for it.

    `requirements` are those of the metadata of rpe; `version_of` returns None for what is not installed.
    """
    seen = {"rpe"}
    for extra, purpose, needed in _EXTRAS:
        label = f"rpe[{extra}]" if extra else "rpe"
        for name in _asked_for(extra, requirements):
            if name not in seen:
                seen.add(name)
                yield Finding(label, name, version_of(name), needed, purpose, f"pip install '{label}'")


def _asked_for(extra: str, requirements: Sequence[str]) -> list[str]:
    matches = [match for match in map(_REQUIREMENT.fullmatch, requirements) if match]
    return [match["name"] for match in matches if (match["extra"] or "") == extra]


def _package_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def program(
    name: str, arguments: Sequence[str], *, purpose: str, how: str, also_in: Path | None = None
) -> Finding:
    """Look for a program, in a folder of our own first, and ask it for its version."""
    local = None if also_in is None else shutil.which(name, path=str(also_in))
    path = local or shutil.which(name)
    version = None if path is None else _program_version(path, arguments)
    return Finding("program", name, version, False, purpose, how)


def _program_version(path: str, arguments: Sequence[str]) -> str:
    found = _VERSION.search(_answer([path, *arguments]))
    version = next(filter(None, found.groups()), "") if found else ""
    if version != "git":
        return version
    # A Toxiproxy that `go install` built does not know its version; Go wrote it into the file.
    module = _MODULE.search(_answer(["go", "version", "-m", path]))
    return module[1].removeprefix("v") if module else version


def _answer(command: Sequence[str]) -> str:
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_TIME_S, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return ended.stdout + ended.stderr
