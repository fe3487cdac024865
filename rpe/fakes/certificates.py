"""Certificates for servers of a test: an authority of its own, which nobody else has to trust."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rpe.errors import ConfigurationError

__all__ = ["Authority", "Certificate"]

LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate chain and its private key, as PEM."""

    chain: bytes
    key: bytes = field(repr=False)


class Authority:
    """Issues certificates. `certificate` (PEM) is what the other side has to trust.

    Its key is in this object only, so nothing can be issued once it is gone.
    Raises ConfigurationError where the package `trustme` is missing.
    """

    def __init__(self, name: str = "rpe test authority") -> None:
        try:
            import trustme
        except ImportError as error:
            raise ConfigurationError(
                "certificates cannot be made: the package trustme is missing", hint="pip install rpe[fakes]"
            ) from error
        self._authority = trustme.CA(organization_name=name)
        self.certificate = self._authority.cert_pem.bytes()

    def issue(self, owner: str, hosts: Sequence[str] = LOOPBACK) -> Certificate:
        """Return a certificate of `owner`, good for a server at these hosts as well as for a client."""
        issued = self._authority.issue_cert(*hosts, common_name=owner)
        chain = b"".join(part.bytes() for part in issued.cert_chain_pems)
        return Certificate(chain, issued.private_key_pem.bytes())
