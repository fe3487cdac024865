"""The tokens of the pools as their clients are given them: a file for each, kept up to date."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["TokenFiles"]


class TokenFiles:
    """A file for each pool, with the token that was demanded last; made for pools that demand one.

    Whoever rotates a token hands the new one out before servers insist on it, and takes it
    back only when none does any more: `demanded` is called before a script is put in force,
    `no_longer_demanded` after one was taken back.

    Arguments:
        folder: where the files are.
        pools: the servers of each pool.
        tokens: the token of each server at the beginning; None where it demands none.
    """

    def __init__(
        self, folder: Path, pools: Mapping[str, Sequence[str]], tokens: Mapping[str, str | None]
    ) -> None:
        self._folder = folder
        self._pool_of = {server: pool for pool, servers in pools.items() for server in servers}
        self._latest: dict[str, list[tuple[str, str]]] = {}
        for pool, servers in pools.items():
            given = [token for server in servers if (token := tokens.get(server)) is not None]
            if given:
                self._latest[pool] = [("", given[0])]
                self._write(pool)

    def path(self, pool: str) -> Path | None:
        """Return the file of a pool; None where it demands no token."""
        return self._folder / f"{pool}.token" if pool in self._latest else None

    def demanded(self, key: str, server: str, token: str | None) -> None:
        """A server is about to insist on a token; `key` names what makes it."""
        pool = self._pool_of.get(server, "")
        if token is not None and pool in self._latest:
            self._latest[pool].append((f"{key}/{server}", token))
            self._write(pool)

    def no_longer_demanded(self, key: str, server: str) -> None:
        """A server no longer insists on what `key` made it insist on. Harmless where it did not."""
        pool = self._pool_of.get(server, "")
        if pool in self._latest:
            kept = [entry for entry in self._latest[pool] if entry[0] != f"{key}/{server}"]
            if kept != self._latest[pool]:
                self._latest[pool] = kept
                self._write(pool)

    def _write(self, pool: str) -> None:
        _, token = self._latest[pool][-1]
        fresh = self._folder / f"{pool}.new"
        fresh.touch(mode=0o600)
        fresh.write_text(token + "\n", encoding="ascii")
        os.replace(fresh, self._folder / f"{pool}.token")  # noqa: PTH105  # a reader sees the old or the new
