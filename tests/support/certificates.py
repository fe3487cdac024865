"""Certificates that sign themselves, made by openssl for the length of a test run."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Pair", "make_pair"]


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as PEM."""

    certificate: bytes
    key: bytes


def make_pair(owner: str, folder: Path) -> Pair:
    """Make the certificate of `owner`, good for loopback; the same one where the folder has it."""
    key, certificate = folder / f"{owner}.key", folder / f"{owner}.pem"
    if not key.exists():
        _openssl(owner, key, certificate)
    return Pair(certificate.read_bytes(), key.read_bytes())


def _openssl(owner: str, key: Path, certificate: Path) -> None:
    kind = ["-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "30"]
    names = ["-subj", f"/CN={owner}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", "req", *kind, *names, *files], check=True, capture_output=True)
