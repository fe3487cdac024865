"""The datagram relay as an object: relays and their HTTP API inside the caller's own event loop."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from rpe.errors import ConfigurationError
from rpe.faults.proxy.addresses import Address, AddressError, bind, bound_address, resolve
from rpe.faults.relay.api import Api
from rpe.faults.relay.draws import Replay
from rpe.faults.relay.relays import Relays

__all__ = ["EmbeddedRelay"]


class EmbeddedRelay:
    """A relay server whose control API answers at `url`, and whose `relays` can be used directly.

    `async with EmbeddedRelay() as server:` serves on a free port of 127.0.0.1; leaving the block
    closes every socket and connection. The same `seed`, names and order of datagrams give
    the same draws.

    Arguments:
        host, port: where the API is served; port 0 is a free one.
        seed: the root of all chance in this server.
        draws: a file that every draw is written to, one JSON object a line; it is emptied first.
        replay: such a file of an earlier run, whose decisions are taken instead of draws.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int = 0,
        draws: Path | None = None,
        replay: Path | None = None,
    ) -> None:
        self.seed = seed
        self._host = host
        self._port = port
        self._draws = draws
        self._replay = replay
        self._file: TextIO | None = None
        self._relays: Relays | None = None
        self._api: Api | None = None
        self._address: Address | None = None

    @property
    def url(self) -> str:
        """Where the API is served, such as http://127.0.0.1:8475; ConfigurationError if it is not."""
        if self._address is None:
            raise ConfigurationError("the relay server is not running", hint="use it as `async with`")
        return f"http://{self._address}"

    @property
    def relays(self) -> Relays:
        """The relays; ConfigurationError where the server is not running."""
        if self._relays is None:
            raise ConfigurationError("the relay server is not running", hint="use it as `async with`")
        return self._relays

    async def start(self) -> None:
        """Serve; the API answers when this returns.

        Raises ConfigurationError, and leaves nothing open, if the port is taken or a file
        cannot be used.
        """
        if self._relays is not None:
            raise ConfigurationError("the relay server is running already")
        replay = None if self._replay is None else Replay.load(self._replay)
        try:
            sock = bind(await resolve(str(Address(self._host, self._port))))
        except AddressError as error:
            raise ConfigurationError(
                f"the relay server cannot start: {error}", hint="choose another port, or 0 for a free one"
            ) from error
        try:
            if self._draws is not None:
                self._file = self._draws.open("w", encoding="utf-8")
            self._relays = Relays(seed=self.seed, replay=replay, log=self._file)
            self._api = Api(self._relays)
            await self._api.start(sock)
        except BaseException as error:
            sock.close()
            await self.stop()
            if isinstance(error, OSError):
                raise ConfigurationError(f"the draws cannot be written to {self._draws}: {error}") from error
            raise
        self._address = bound_address(sock)

    async def stop(self) -> None:
        """Close everything, and wait for it; harmless when it is not running. The draws are on disk then."""
        self._address = None
        api, self._api = self._api, None
        relays, self._relays = self._relays, None
        file, self._file = self._file, None
        try:
            if api is not None:
                await api.stop()
        finally:
            try:
                if relays is not None:
                    await relays.close()
            finally:
                if file is not None:
                    file.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def __repr__(self) -> str:
        return f"EmbeddedRelay({self._address or 'not running'}, seed={self.seed})"
