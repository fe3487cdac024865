"""Where bearer tokens come from: given, from the environment, from a file, or fetched."""

from __future__ import annotations

from rpe.transport.credentials.bearer import NO_GRANT, Bearer, Grant
from rpe.transport.credentials.environment import EnvironmentToken
from rpe.transport.credentials.fetched import FetchedToken, Token
from rpe.transport.credentials.file import FileToken
from rpe.transport.credentials.source import FixedToken, TokenSource, as_token_source

__all__ = [
    "NO_GRANT",
    "Bearer",
    "EnvironmentToken",
    "FetchedToken",
    "FileToken",
    "FixedToken",
    "Grant",
    "Token",
    "TokenSource",
    "as_token_source",
]
