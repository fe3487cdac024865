"""Mistakes in definitions: all of them are told when it is loaded, each with its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rpe.errors import ConfigurationError
from rpe.fakes.definition import descriptors
from rpe.fakes.definition.loading import load_definitions, parse_definition
from rpe.fakes.definition.problems import DefinitionInvalid

Define = Callable[..., Any]


def message(**form: Any) -> dict[str, Any]:
    return {"answer": {"message": form}}


@pytest.mark.parametrize(
    ("method", "rule", "path", "told"),
    [
        ("GetItem", message(nme=1), "answer.message.nme", "no such field; its fields: id, price_cents"),
        ("GetItem", message(id=1), "answer.message.id", "expected string"),
        ("GetItem", message(price_cents="x"), "answer.message.price_cents", "x"),
        ("GetItem", message(price_cents=1.5), "answer.message.price_cents", "1.5"),
        ("GetItem", message(color="GREEN"), "answer.message.color", "GREEN"),
        ("GetItem", message(id=None), "answer.message.id", "null is no value"),
        ("GetItem", message(tags="a"), "answer.message.tags", "its value is a list"),
        ("GetItem", message(tags=["a", 1]), "answer.message.tags[1]", "expected string"),
        ("GetItem", message(stock=[]), "answer.message.stock", "its value is a mapping"),
        ("GetItem", message(stock={"a": "b"}), "answer.message.stock.a", "b"),
        ("GetItem", message(sizes={"yes": {}}), "answer.message.sizes.yes", "no key of the map"),
        ("GetItem", message(size={"width_mm": -1}), "answer.message.size.width_mm", "-1"),
        ("GetItem", message(size=3), "answer.message.size", "is a mapping of fields"),
        ("GetItem", message(parts=[{}, {"x": 1}]), "answer.message.parts[1].x", "no such field"),
        ("GetItem", message(text="a", blob=""), "answer.message.blob", "only one of the oneof payload"),
        ("GetItem", message(price_cents=1, priceCents=1), "answer.message.priceCents", "given twice"),
        ("GetItem", message(made="noon"), "answer.message.made", "timestamp"),
        ("GetItem", message(blob="%"), "answer.message.blob", "not base64"),
        ("GetItem", message(id="${request.nme}"), "answer.message.id", "has no field 'nme'"),
        ("GetItem", message(id="${answer.id}"), "answer.message.id", "a template is ${request.field.path}"),
        ("GetItem", message(id="${request.id.x}"), "answer.message.id", "goes on after a plain value"),
        ("GetItem", message(id="${request.tags.x}"), "answer.message.id", "not a position"),
        ("GetItem", message(price_cents="${request.urgent}"), "answer.message.price_cents", "bool"),
        ("GetItem", message(tags="${request.id}"), "answer.message.tags", "no list of text"),
        ("GetItem", message(size="${request.like}"), "answer.message.size", "is no shop.v1.Size"),
        ("GetItem", message(parts=["${request.id}"]), "answer.message.parts[0]", "is no shop.v1.Item"),
        ("GetItem", {"answer": {"messages": []}}, "answer.messages", "this method is unary"),
        ("ListItems", {"answer": {"each": [{"message": {}}]}}, "answer.each", "server streaming"),
        ("AddItems", {"answer": {"script": [{"close": True}]}}, "answer.script", "client streaming"),
        ("Chat", {"answer": {"message": {}}}, "answer.message", "each, each_rules, script or call"),
        ("Chat", {"when": {"on": "any"}, "answer": {"error": {"code": "ABORTED"}}}, "when.on", "client str"),
        ("GetItem", {"answer": {}}, "answer", "one of message, messages"),
        ("GetItem", {"answer": {"message": {}, "error": {"code": "ABORTED"}}}, "answer", "one of"),
        ("GetItem", {"answer": {"error": {"code": "OOPS"}}}, "answer.error.code", "'OOPS' is none of"),
        ("GetItem", {"answer": {"error": {"code": "OK"}}}, "answer.error.code", "none of"),
        ("GetItem", {"answer": {"message": {}, "delay_s": -1}}, "answer.delay_s", "greater than or equal"),
        ("GetItem", {"answer": {"message": {}, "delay": 1}}, "answer.delay", "uniform_s"),
        ("GetItem", {"answer": {"message": {}, "late": 1}}, "answer.late", "this key is unknown"),
        ("GetItem", {"when": {}}, "answer", "this is missing"),
        ("GetItem", {"when": {"call": 0}, **message()}, "when.call", "greater than or equal"),
        ("GetItem", {"when": {"fields": {"nme": 1}}, **message()}, "when.fields.nme", "has no field"),
        ("GetItem", {"when": {"fields": {"count": "x"}}, **message()}, "when.fields.count", "x"),
        ("GetItem", {"when": {"fields": {"id": {}}}, **message()}, "when.fields.id", "is needed"),
        ("GetItem", {"when": {"fields": {"id": {"like": 1}}}, **message()}, "when.fields.id.like", "unknown"),
        (
            "GetItem",
            {"when": {"fields": {"id": {"regex": "("}}}, **message()},
            "when.fields.id.regex",
            "no reg",
        ),
        (
            "GetItem",
            {"when": {"fields": {"count": {"regex": "1"}}}, **message()},
            "when.fields.count",
            "regex",
        ),
        (
            "GetItem",
            {"when": {"fields": {"count": {"contains": 1}}}, **message()},
            "when.fields.count",
            "contains",
        ),
        ("GetItem", {"when": {"metadata": {"Who": "x"}}, **message()}, "when.metadata.Who", "lower case"),
        ("GetItem", {"when": {"metadata": {"who": 1}}, **message()}, "when.metadata.who", "in quotes"),
        ("Chat", {"answer": {"script": [{}]}}, "answer.script[0]", "one of expect, send"),
        ("Chat", {"answer": {"script": [{"send": {"x": 1}}]}}, "answer.script[0].send.x", "no such field"),
        ("Chat", {"answer": {"script": [{"expect": {"x": 1}}]}}, "answer.script[0].expect.x", "no field"),
        ("Chat", {"answer": {"each": [{"message": {"x": 1}}]}}, "answer.each[0].message.x", "no such field"),
        (
            "GetItem",
            {"answer": {"sequence": [{"message": {}}, {"message": {"x": 1}}]}},
            "answer.sequence[1].message.x",
            "no such field",
        ),
        ("GetIten", message(), "", "shop.v1.Shop has no such method; its methods: GetItem, ListItems"),
    ],
)
def test_a_mistake_is_told_with_its_path(
    define: Define, method: str, rule: Any, path: str, told: str
) -> None:
    with pytest.raises(DefinitionInvalid) as caught:
        define(**{method: [rule]})
    where = f"methods.{method}" + (f"[0].{path}" if path else "")
    [problem] = caught.value.problems
    place, _, text = problem.removeprefix("definition: ").partition(": ")
    assert place.removesuffix("when.call[0]") == where.removesuffix("when.call")
    assert told in text


TEXT = """\
service: shop.v1.Shop
descriptors: {set: shop.binpb}
methods:
  GetItem:
    - answer:
        message: {id: 7}
    - answer:
        message:
          id: good
          colour: COLOR_RED
  GetStem: []
"""


def test_all_mistakes_are_told_at_once_with_their_lines(shop: Path, tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(TEXT.replace("shop.binpb", str(shop / "shop.binpb")), encoding="utf-8")
    with pytest.raises(DefinitionInvalid) as caught:
        load_definitions(file)
    starts = [problem.split(": ")[0:2] for problem in caught.value.problems]
    assert starts == [
        [f"{file}:6", "methods.GetItem[0].answer.message.id"],
        [f"{file}:10", "methods.GetItem[1].answer.message.colour"],
        [f"{file}:11", "methods.GetStem"],
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the file is empty"),
        ("- a", "a definition is a mapping"),
        ("a: [", "this is not YAML"),
        ("service: a\nservice: b", "definition:2: service: given twice, first on line 1"),
        ("service: a\nmethods:\n  A: []\n  A: []", "definition:4: methods.A: given twice, first on line 3"),
        ("service: a", "descriptors: this is missing"),
        (TEXT.replace("shop.v1.Shop", "shop.v1.Shopp"), "not among the descriptors: shop.v1.Shop"),
        (TEXT.replace("shop.binpb", "gone.binpb"), "cannot be read"),
        (TEXT.replace("shop.binpb", "shop.proto"), "not a compiled descriptor set"),
        (TEXT.replace("set: shop.binpb", ""), "one of protos, set is needed, and none is given"),
        (TEXT.replace("set: shop.binpb", "protos: [gone.proto]"), "there is no"),
        (TEXT.replace("set: shop.binpb", "set: shop.binpb, include: [a]"), "include goes with protos"),
    ],
)
def test_a_text_that_is_no_definition(shop: Path, text: str, told: str) -> None:
    with pytest.raises(DefinitionInvalid) as caught:
        parse_definition(text, shop)
    assert told in str(caught.value)


def test_a_proto_that_does_not_compile_is_told_in_protocs_words(tmp_path: Path) -> None:
    (tmp_path / "bad.proto").write_text('syntax = "proto3"; message A { Gone b = 1; }', encoding="utf-8")
    text = "service: A\ndescriptors: {protos: [bad.proto]}\nmethods: {}"
    with pytest.raises(DefinitionInvalid, match='"Gone" is not defined'):
        parse_definition(text, tmp_path)


def test_a_missing_compiler_is_told_with_what_to_install(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors, "find_spec", lambda name: None)
    with pytest.raises(DefinitionInvalid, match="pip install grpcio-tools"):
        parse_definition(TEXT.replace("set: shop.binpb", "protos: [shop.proto]"), shop)
    parse_definition({"service": "shop.v1.Shop", "descriptors": {"set": "shop.binpb"}, "methods": {}}, shop)


def test_a_folder_is_loaded_whole_and_must_hold_something(tmp_path: Path, shop: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no definition in the folder"):
        load_definitions(tmp_path)
    with pytest.raises(ConfigurationError, match="there is no"):
        load_definitions(tmp_path / "gone.yaml")
    text = f"service: shop.v1.Shop\ndescriptors: {{set: {shop / 'shop.binpb'}}}\nmethods: {{}}\n"
    (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
    assert list(load_definitions(tmp_path).services) == ["shop.v1.Shop"]
    (tmp_path / "b.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(DefinitionInvalid, match="has another definition already"):
        load_definitions(tmp_path)
