from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from rpe.fakes.control.api import ControlServer
from rpe.fakes.control.controlled import Controlled
from rpe.fakes.definition.descriptors import compile_protos
from rpe.fakes.definition.loading import Definitions, parse_definition

SHOP = """
syntax = "proto3";
package shop.v1;
service Shop {
  rpc GetItem(ItemRequest) returns (Item);
  rpc ListItems(ItemRequest) returns (stream Item);
  rpc Chat(stream ItemRequest) returns (stream Item);
}
service Till { rpc GetItem(ItemRequest) returns (Item); }
message ItemRequest { string id = 1; int64 count = 2; }
message Item { string id = 1; int64 price_cents = 2; }
"""

Define = Callable[..., Definitions]


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tests' own contract, compiled."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop.proto").write_text(SHOP, encoding="utf-8")
    compiled = compile_protos([folder / "shop.proto"], [folder])
    (folder / "shop.binpb").write_bytes(compiled.SerializeToString())
    return folder


def definition(methods: dict[str, Any], service: str = "shop.v1.Shop") -> dict[str, Any]:
    return {"descriptors": {"set": "shop.binpb"}, "service": service, "methods": methods}


@pytest.fixture(scope="session")
def define(shop: Path) -> Define:
    """Makes definitions of the shop from the rules of its methods."""
    return lambda service="shop.v1.Shop", **methods: parse_definition(definition(methods, service), shop)


class Answer:
    def __init__(self, status: int, text: str) -> None:
        self.status = status
        self.text = text

    @property
    def form(self) -> Any:
        return json.loads(self.text)


class Api:
    """A client of the control API that says what it is answered, and raises nothing."""

    def __init__(self, session: aiohttp.ClientSession, endpoint: str) -> None:
        self._session = session
        self.endpoint = endpoint

    async def __call__(self, method: str, path: str, form: Any = None, **options: Any) -> Answer:
        if form is not None:
            options["json"] = form
        async with self._session.request(method, self.endpoint + path, **options) as response:
            return Answer(response.status, await response.text())


Serve = Callable[..., AbstractAsyncContextManager[Api]]


@pytest.fixture
def serve() -> Serve:
    """Serves the control API of a fake, as an async context."""

    @asynccontextmanager
    async def serving(controlled: Controlled, **options: Any) -> AsyncIterator[Api]:
        async with ControlServer(controlled, **options) as server, aiohttp.ClientSession() as session:
            yield Api(session, server.endpoint)

    return serving
