"""The fault proxy as an object: a Toxiproxy-compatible server inside the caller's own event loop."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Self

from rpe.errors import ConfigurationError
from rpe.faults.proxy.addresses import Address, AddressError, bind, bound_address, resolve
from rpe.faults.proxy.api import Api
from rpe.faults.proxy.failures import ApiError
from rpe.faults.proxy.gojson import Fields, read_array
from rpe.faults.proxy.registry import Registry

__all__ = ["EmbeddedProxy"]


class EmbeddedProxy:
    """A proxy server that speaks Toxiproxy's HTTP API at `url`.

    `async with EmbeddedProxy() as proxy:` serves on a free port of 127.0.0.1; leaving the block
    closes every listener and connection and waits for them. The same `seed` and the same
    proxies, toxics and order of connections give the same draws.

    Arguments:
        host, port: where the API is served; port 0 is a free one.
        seed: the root of all chance in this server.
        config: a JSON file of proxies to begin with, in the form that `/populate` takes.
        metrics: serve `/metrics` too.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int = 0,
        config: Path | None = None,
        metrics: bool = False,
    ) -> None:
        self.seed = seed
        self._host = host
        self._port = port
        self._config = config
        self._registry = Registry(seed)
        self._api = Api(self._registry, with_metrics=metrics)
        self._address: Address | None = None

    @property
    def url(self) -> str:
        """Where the API is served, such as http://127.0.0.1:8474; ConfigurationError if it is not."""
        if self._address is None:
            raise ConfigurationError("the proxy server is not running", hint="use it as `async with`")
        return f"http://{self._address}"

    async def start(self) -> None:
        """Serve; the API answers, and the configured proxies listen, when this returns.

        Raises ConfigurationError, and leaves nothing open, if the port is taken or the
        configuration file is broken.
        """
        if self._address is not None:
            raise ConfigurationError("the proxy server is running already")
        items = await _read_config(self._config)
        try:
            sock = bind(await resolve(str(Address(self._host, self._port))))
        except AddressError as error:
            raise ConfigurationError(
                f"the proxy server cannot start: {error}", hint="choose another port, or 0 for a free one"
            ) from error
        try:
            await self._populate(items)
            await self._api.start(sock)
        except BaseException:
            sock.close()
            await self.stop()
            raise
        self._address = bound_address(sock)

    async def stop(self) -> None:
        """Close all listeners and connections, and wait for them; harmless when it is not running."""
        self._address = None
        try:
            await self._api.stop()
        finally:
            await self._registry.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def __repr__(self) -> str:
        return f"EmbeddedProxy({self._address or 'not running'}, seed={self.seed})"

    async def _populate(self, items: list[Fields]) -> None:
        try:
            await self._registry.populate(items)
        except ApiError as error:
            raise _broken(self._config, error.message) from error


async def _read_config(config: Path | None) -> list[Fields]:
    if config is None:
        return []
    try:
        return read_array(await asyncio.to_thread(config.read_bytes), "Proxy")
    except OSError as error:
        raise _broken(config, error.strerror or str(error)) from error
    except ApiError as error:
        raise _broken(config, error.message) from error


def _broken(config: Path | None, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"the proxy configuration {config} cannot be used: {reason}",
        hint='it is a JSON array such as [{"name": "tts", "listen": "127.0.0.1:0", "upstream": "host:port"}]',
    )
