"""Definitions from contracts: what an example holds, that it can be served, and that edits stay."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from rpe.errors import ConfigurationError
from rpe.fakes.definition.descriptors import Contracts, compile_protos, kind_of
from rpe.fakes.definition.examples import MAX_DEPTH, example
from rpe.fakes.definition.fake import ProtoFake
from rpe.fakes.definition.generating import generate
from rpe.fakes.definition.loading import Definitions, load_definitions, parse_definition

Open = Callable[..., Any]
OURS = Path(__file__).resolve().parents[3] / "protos"

ITEM = {
    "id": "id",
    "price_cents": 1,
    "color": "COLOR_RED",
    "tags": ["tags"],
    "stock": {"key": 1},
    "text": "text",
    "made": "2020-01-01T00:00:00Z",
    "size": {"width_mm": 1, "height_mm": 1},
    "sold": True,
    "weight": 1.5,
    "extra": {"key": "value"},
    "sizes": {"true": {"width_mm": 1, "height_mm": 1}},
}
"""Every kind of field; the first member of the oneof; no item inside an item."""


def test_an_example_has_a_value_for_each_kind_of_field(open_shop: Open, define: Any) -> None:
    pool = define().contracts.pool
    assert example(pool.FindMessageTypeByName("shop.v1.Item")) == ITEM
    request = example(pool.FindMessageTypeByName("shop.v1.ItemRequest"))
    assert request["like"] == ITEM and request["items"] == [ITEM]
    assert request["key"] == "a2V5" and request["by_number"] == {"1": "value"}


def test_an_example_is_cut_off_where_it_becomes_deep(tmp_path: Path) -> None:
    chain = "".join(f"message M{at} {{ M{at + 1} next = 1; }}" for at in range(20))
    (tmp_path / "deep.proto").write_text(f'syntax = "proto3"; {chain} message M20 {{}}', encoding="utf-8")
    contracts = Contracts()
    contracts.add(compile_protos([tmp_path / "deep.proto"]).file)
    form, depth = example(contracts.pool.FindMessageTypeByName("M0")), 1
    while "next" in form:
        form, depth = form["next"], depth + 1
    assert depth == MAX_DEPTH


async def call_every_method(definitions: Definitions) -> dict[str, int]:
    """Serve definitions, call each method of theirs once, and return how many answers each gave."""
    answers: dict[str, int] = {}
    async with ProtoFake(definitions) as fake, grpc.aio.insecure_channel(fake.endpoint) as channel:
        for name in fake.services:
            for method in definitions.contracts.pool.FindServiceByName(name).methods:
                kind = kind_of(method)
                request = Contracts.message_class(method.input_type)()
                shape = ("stream" if method.client_streaming else "unary") + (
                    "_stream" if method.server_streaming else "_unary"
                )
                call = getattr(channel, shape)(
                    f"/{name}/{method.name}",
                    request_serializer=type(request).SerializeToString,
                    response_deserializer=Contracts.message_class(method.output_type).FromString,
                )(iter([request, request]) if "stream_" in shape else request, timeout=5)
                got = [item async for item in call] if method.server_streaming else [await call]
                assert all(item.ByteSize() for item in got if method.output_type.fields), kind
                answers[method.name] = len(got)
                assert await call.code() is grpc.StatusCode.OK
        assert len(fake.calls()) == len(answers)
    return answers


@pytest.mark.parametrize("compiled", [False, True])
async def test_what_is_generated_can_be_served_and_every_method_answers(
    shop: Path, tmp_path: Path, compiled: bool
) -> None:
    [written] = generate([shop / "shop.proto"], tmp_path / "out", compiled=compiled)
    assert written.path == tmp_path / "out" / "shop.v1.Shop.yaml"
    text = written.path.read_text(encoding="utf-8")
    assert ("set: descriptors.binpb" in text) is compiled
    assert "AddItems: client streaming, shop.v1.Item to shop.v1.Summary." in text
    assert "stock (map of string to int64)" in text
    assert "color is one of: COLOR_UNSPECIFIED, COLOR_RED, COLOR_BLUE." in text
    assert "payload is one of: text, blob." in text
    answers = await call_every_method(load_definitions(tmp_path / "out"))
    assert answers == {"GetItem": 1, "ListItems": 2, "AddItems": 1, "Chat": 2}


async def test_a_compiled_set_is_a_source_too(shop: Path, tmp_path: Path) -> None:
    [written] = generate([shop / "shop.binpb"], tmp_path)
    assert len(await call_every_method(load_definitions(written.path))) == 4


async def test_our_own_contracts_are_generated_and_served(tmp_path: Path) -> None:
    written = generate([OURS], tmp_path)
    assert [done.service for done in written] == [
        "remotemedia.v1.PipelineExecutionService",
        "remotemedia.v1.StreamingPipelineService",
        "remotemedia.v1.webrtc.WebRtcSignaling",
    ]
    answers = await call_every_method(load_definitions(tmp_path))
    assert answers["StreamPipeline"] == 2 and "ExecutePipeline" in answers


def test_generating_again_changes_nothing_and_keeps_what_was_edited(shop: Path, tmp_path: Path) -> None:
    def again(force: bool = False) -> tuple[str, str]:
        [done] = generate([shop / "shop.proto"], tmp_path, force=force)
        return done.state, done.path.read_text(encoding="utf-8")

    state, fresh = again()
    assert state == "written"
    assert again() == ("unchanged", fresh)
    file = tmp_path / "shop.v1.Shop.yaml"
    edited = fresh.replace("id: id", "id: mine", 1)
    file.write_text(edited, encoding="utf-8")
    assert again() == ("kept", edited)
    assert again(force=True) == ("written", fresh)
    file.write_text("service: something else\n", encoding="utf-8")
    assert again() == ("kept", "service: something else\n")


def test_a_file_that_was_not_edited_follows_its_contract(shop: Path, tmp_path: Path) -> None:
    proto = tmp_path / "shop.proto"
    proto.write_text((shop / "shop.proto").read_text(encoding="utf-8"), encoding="utf-8")
    generate([proto], tmp_path)
    proto.write_text(proto.read_text(encoding="utf-8").replace("last_id", "newest"), encoding="utf-8")
    [done] = generate([proto], tmp_path)
    assert done.state == "written" and "newest: newest" in done.path.read_text(encoding="utf-8")


def test_sources_that_cannot_be_used_are_told(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "bare.proto").write_text('syntax = "proto3"; message A {}', encoding="utf-8")
    out = tmp_path / "out"
    for sources, told in (
        ([tmp_path / "bare.proto"], "there is no service in"),
        ([tmp_path / "gone.proto"], "there is no"),
        ([shop / "shop.proto", shop / "shop.binpb"], "not both"),
    ):
        with pytest.raises(ConfigurationError, match=told):
            generate(sources, out)
    assert not out.exists()


PROTO2 = """
syntax = "proto2";
package old;
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/wrappers.proto";
service Old { rpc Do(All) returns (All); }
enum E { A = 0; B = 2; }
message All {
  required string name = 1;
  optional E e = 2 [default = B];
  repeated group G = 3 { optional int32 x = 1; }
  optional google.protobuf.Any any = 4;
  optional google.protobuf.Int64Value wrapped = 5;
  optional google.protobuf.Duration duration = 6;
  repeated bytes keys = 7;
  map<string, E> es = 8;
  oneof one { All self = 9; int32 number = 10; }
  optional string on = 11;
  optional string null = 12;
  optional float class = 13;
}
"""


def test_an_old_contract_with_awkward_names_is_generated_and_can_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "old.proto").write_text(PROTO2, encoding="utf-8")
    [written] = generate([tmp_path / "old.proto"], tmp_path)
    definitions = load_definitions(written.path)
    assert example(definitions.contracts.pool.FindMessageTypeByName("old.All")) == {
        "name": "name",
        "e": "B",
        "g": [{"x": 1}],
        "any": {},
        "wrapped": 1,
        "duration": "1.5s",
        "keys": ["a2V5cw=="],
        "es": {"key": "B"},
        "number": 1,  # the first member of the oneof would hold itself
        "on": "on",
        "null": "null",
        "class": 1.5,
    }
    data = {
        "service": "old.Old",
        "descriptors": {"protos": ["old.proto"]},
        "methods": {"Do": [{"answer": {"message": {"e": "A"}}}]},
    }
    with pytest.raises(ConfigurationError, match="missing required fields: name"):
        parse_definition(data, tmp_path)
