from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from rpe.fakes.definition.descriptors import Contracts, compile_protos
from rpe.fakes.definition.fake import ProtoFake
from rpe.fakes.definition.loading import Definitions, parse_definition
from rpe.fakes.definition.messages import parsed
from rpe.fakes.definition.paths import json_form

SHOP = """
syntax = "proto3";
package shop.v1;

import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";

service Shop {
  rpc GetItem(ItemRequest) returns (Item);
  rpc ListItems(ItemRequest) returns (stream Item);
  rpc AddItems(stream Item) returns (Summary);
  rpc Chat(stream ItemRequest) returns (stream Item);
}

enum Color {
  COLOR_UNSPECIFIED = 0;
  COLOR_RED = 1;
  COLOR_BLUE = 2;
}

message ItemRequest {
  string id = 1;
  int32 count = 2;
  Color color = 3;
  repeated string tags = 4;
  map<string, int64> stock = 5;
  Item like = 6;
  optional bool urgent = 7;
  bytes key = 8;
  float weight = 9;
  map<int32, string> by_number = 10;
  google.protobuf.Struct extra = 11;
  repeated Item items = 12;
}

message Item {
  string id = 1;
  int64 price_cents = 2;
  Color color = 3;
  repeated string tags = 4;
  map<string, int64> stock = 5;
  Item parent = 6;
  repeated Item parts = 7;
  oneof payload {
    string text = 8;
    bytes blob = 9;
  }
  google.protobuf.Timestamp made = 10;
  Size size = 11;
  optional bool sold = 12;
  double weight = 13;
  google.protobuf.Struct extra = 14;
  map<bool, Size> sizes = 15;
}

message Size {
  uint32 width_mm = 1;
  sint64 height_mm = 2;
}

message Summary {
  int32 number = 1;
  string last_id = 2;
}
"""

Define = Callable[..., Definitions]


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tests' own contract, also as a compiled set."""
    folder = tmp_path_factory.mktemp("contracts")
    (folder / "shop.proto").write_text(SHOP, encoding="utf-8")
    compiled = compile_protos([folder / "shop.proto"], [folder])
    (folder / "shop.binpb").write_bytes(compiled.SerializeToString())
    return folder


@pytest.fixture(scope="session")
def define(shop: Path) -> Define:
    """Makes definitions of the shop from the rules of its methods."""

    def make(**methods: Any) -> Definitions:
        data = {"descriptors": {"set": "shop.binpb"}, "service": "shop.v1.Shop", "methods": methods}
        return parse_definition(data, shop)

    return make


class Caller:
    """A client of a fake that knows its contract by descriptors alone, and speaks JSON forms."""

    def __init__(self, channel: grpc.aio.Channel, contracts: Contracts) -> None:
        self._channel = channel
        self._pool = contracts.pool

    def _parts(self, method: str, service: str) -> tuple[str, Any, Any]:
        found = self._pool.FindServiceByName(service).methods_by_name[method]
        answers = Contracts.message_class(found.output_type)
        return f"/{service}/{method}", Contracts.message_class(found.input_type), answers

    def __call__(
        self, method: str, request: Any = None, service: str = "shop.v1.Shop", **options: Any
    ) -> Any:
        """Start a call of any kind: an awaitable, or a stream. Lists are streams of requests."""
        path, kind, answers = self._parts(method, service)
        found = self._pool.FindServiceByName(service).methods_by_name[method]
        shape = ("stream" if found.client_streaming else "unary") + (
            "_stream" if found.server_streaming else "_unary"
        )
        make = getattr(self._channel, shape)
        multi = make(path, request_serializer=_bytes, response_deserializer=answers.FromString)
        if not found.client_streaming:
            return multi(parsed(kind, request or {}), timeout=5, **options)
        if request is None:
            return multi(timeout=5, **options)
        return multi(iter([parsed(kind, item) for item in request]), timeout=5, **options)

    def message(self, method: str, form: Any, service: str = "shop.v1.Shop") -> Message:
        return parsed(self._parts(method, service)[1], form)

    async def one(self, method: str, request: Any = None, **options: Any) -> dict[str, Any]:
        """Call, and return the one answer."""
        return json_form(await self(method, request, **options))

    async def all(self, method: str, request: Any = None, **options: Any) -> list[dict[str, Any]]:
        """Call, and return the stream of answers."""
        return [json_form(message) async for message in self(method, request, **options)]


def _bytes(message: Message) -> bytes:
    return message.SerializeToString()


class Shop:
    """A running fake and its caller."""

    def __init__(self, definitions: Definitions, **options: Any) -> None:
        self.fake = ProtoFake(definitions, **options)
        self._contracts = definitions.contracts

    async def __aenter__(self) -> tuple[ProtoFake, Caller]:
        await self.fake.start()
        self._channel = grpc.aio.insecure_channel(self.fake.endpoint)
        return self.fake, Caller(self._channel, self._contracts)

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()
        await self.fake.stop()


Open = Callable[..., Shop]


@pytest.fixture
def open_shop(define: Define) -> Open:
    """Serves the shop by the rules of its methods: an async context of the fake and a caller."""

    def make(definitions: Definitions | None = None, options: Any = None, **methods: Any) -> Shop:
        return Shop(definitions or define(**methods), **(options or {}))

    return make
