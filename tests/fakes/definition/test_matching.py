"""Which rule a call is for: a table of conditions, and what is told where none fits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from rpe.fakes.definition.descriptors import Contracts, read_set
from rpe.fakes.definition.matching import read_matcher
from rpe.fakes.definition.messages import parsed
from rpe.fakes.definition.model import When

REQUEST = {
    "id": "order-77",
    "count": 3,
    "color": "COLOR_RED",
    "tags": ["new", "cheap"],
    "stock": {"left": 5},
    "like": {"id": "inner", "price_cents": 9000000000, "parts": [{"id": "p0"}, {"id": "p1"}]},
    "urgent": False,
    "key": "dGV4dA==",
    "weight": 0.1,
    "by_number": {"7": "seven"},
    "extra": {"a": 1},
}


@pytest.fixture(scope="module")
def contracts(shop: Path) -> Contracts:
    made = Contracts()
    made.add(read_set(shop / "shop.binpb").file)
    return made


@pytest.fixture
def fits(contracts: Contracts) -> Callable[..., bool]:
    def check(when: Any, metadata: Any = (), call: int = 1) -> bool:
        kind = contracts.pool.FindMessageTypeByName("shop.v1.ItemRequest")
        matcher, problems = read_matcher(When.model_validate(when), kind, ())
        assert problems == []
        message = parsed(Contracts.message_class(kind), REQUEST)
        return matcher.miss([message], metadata, call) is None

    return check


@pytest.mark.parametrize(
    ("path", "condition", "expected"),
    [
        ("id", "order-77", True),
        ("id", "order-7", False),
        ("id", {"equal": "order-77"}, True),
        ("id", {"contains": "der-7"}, True),
        ("id", {"contains": "x"}, False),
        ("id", {"regex": r"^order-\d+$"}, True),
        ("id", {"regex": r"^\d+$"}, False),
        ("id", {"contains": "order", "regex": "8"}, False),
        ("count", 3, True),
        ("count", "3", True),  # the JSON form of numbers is text as well
        ("count", 4, False),
        ("color", "COLOR_RED", True),
        ("color", 1, True),
        ("color", "COLOR_BLUE", False),
        ("color", {"regex": "RED$"}, True),
        ("tags", {"equal": ["new", "cheap"]}, True),
        ("tags", {"equal": ["cheap", "new"]}, False),
        ("tags", {"contains": "cheap"}, True),
        ("tags", {"contains": "che"}, False),
        ("tags.0", "new", True),
        ("tags.1", "new", False),
        ("tags.2", "new", False),
        ("tags.2", {"present": False}, True),
        ("tags.1", {"present": True}, True),
        ("stock", {"equal": {"left": 5}}, True),
        ("stock", {"equal": {"left": 6}}, False),
        ("stock", {"contains": "left"}, True),
        ("stock", {"contains": "right"}, False),
        ("stock.left", 5, True),
        ("stock.right", 5, False),
        ("stock.right", {"present": False}, True),
        ("by_number.7", {"contains": "eve"}, True),
        ("byNumber.7", "seven", True),
        ("by_number.8", {"present": True}, False),
        ("by_number", {"contains": 7}, True),
        ("like.id", "inner", True),
        ("like.price_cents", 9000000000, True),
        ("like.priceCents", 9000000000, True),
        ("like.parts.1.id", "p1", True),
        ("like.parts.5.id", "p1", False),
        ("like.parts.0", {"equal": {"id": "p0"}}, True),
        ("like.parts.0", {"equal": {"id": "p1"}}, False),
        ("like.parts", {"contains": {"id": "p1"}}, True),
        ("like.size", {"present": False}, True),
        ("like.size.width_mm", {"present": False}, True),
        ("like.size.width_mm", 0, True),
        ("like", {"present": True}, True),
        ("urgent", {"present": True}, True),  # it is set, to its default
        ("urgent", False, True),
        ("key", "dGV4dA==", True),
        ("key", "AAAA", False),
        ("key", {"contains": "ZXg="}, True),
        ("weight", 0.1, True),  # as the float of the contract, not as the double of the file
        ("weight", {"present": True}, True),
        ("items", {"present": False}, True),
        ("extra", {"equal": {"a": 1}}, True),
        ("extra", {"equal": {"a": 2}}, False),
    ],
)
def test_conditions_on_fields(fits: Callable[..., bool], path: str, condition: Any, expected: bool) -> None:
    assert fits({"fields": {path: condition}}) is expected


@pytest.mark.parametrize(
    ("condition", "metadata", "expected"),
    [
        ("de", [("lang", "de")], True),
        ("de", [("lang", "en"), ("lang", "de")], True),
        ("de", [("lang", "en")], False),
        ("de", [], False),
        ({"contains": "e"}, [("lang", "de")], True),
        ({"regex": "^d"}, [("lang", "en")], False),
        ({"present": True}, [("lang", "")], True),
        ({"present": False}, [("lang", "")], False),
        ({"present": False}, [("other", "de")], True),
    ],
)
def test_conditions_on_metadata(
    fits: Callable[..., bool], condition: Any, metadata: Any, expected: bool
) -> None:
    assert fits({"metadata": {"lang": condition}}, metadata) is expected


@pytest.mark.parametrize(("calls", "call", "expected"), [(2, 2, True), (2, 1, False), ([1, 3], 3, True)])
def test_the_number_of_the_call(fits: Callable[..., bool], calls: Any, call: int, expected: bool) -> None:
    assert fits({"call": calls}, (), call) is expected


def test_everything_that_is_given_must_hold(fits: Callable[..., bool]) -> None:
    when = {"fields": {"id": "order-77", "count": 3}, "metadata": {"lang": "de"}, "call": 1}
    assert fits(when, [("lang", "de")])
    assert not fits(when, [("lang", "de")], 2)
    assert not fits({**when, "fields": {"id": "order-77", "count": 2}}, [("lang", "de")])


async def test_the_first_rule_that_fits_answers(open_shop: Callable[..., Any]) -> None:
    rules = [
        {"when": {"fields": {"id": {"regex": "^a"}}}, "answer": {"message": {"id": "0"}}},
        {"when": {"fields": {"id": "ab"}}, "answer": {"message": {"id": "1"}}},
        {"when": {"metadata": {"lang": "de"}}, "answer": {"message": {"id": "2"}}},
        {"when": {"call": 4}, "answer": {"message": {"id": "3"}}},
    ]
    async with open_shop(GetItem=rules) as (fake, call):
        assert (await call.one("GetItem", {"id": "ab"}))["id"] == "0"
        assert (await call.one("GetItem", {"id": "b"}, metadata=(("lang", "de"),)))["id"] == "2"
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.one("GetItem", {"id": "b"}, metadata=(("lang", "secret-token"),))
        assert (await call.one("GetItem", {"id": "b"}))["id"] == "3"
        assert [noted.rule for noted in fake.calls()] == [0, 2, None, 3]
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    told = caught.value.details() or ""
    for part in (
        "rule 0: id does not match '^a'",
        "rule 1: id is not 'ab'",
        "rule 2: the metadata lang is another",
        "rule 3: it is for call 4, and this is call 3",
    ):
        assert part in told
    assert "secret-token" not in told


async def test_a_method_without_rules_says_so(open_shop: Callable[..., Any]) -> None:
    async with open_shop(GetItem=[]) as (fake, call):
        for method in ("GetItem", "AddItems"):
            with pytest.raises(grpc.aio.AioRpcError, match="has no rules"):
                await call.one(method, [] if method == "AddItems" else {})
        assert [noted.code for noted in fake.calls()] == ["UNIMPLEMENTED"] * 2
