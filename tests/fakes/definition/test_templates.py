"""Answers that are filled from the request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest

Open = Callable[..., Any]

REQUEST = {
    "id": "x",
    "count": 3,
    "color": "COLOR_BLUE",
    "tags": ["a", "b"],
    "stock": {"left": 5},
    "like": {"id": "inner", "price_cents": 9000000000, "parts": [{"id": "p0"}]},
    "urgent": True,
    "key": "dGV4dA==",
    "weight": 2,
}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"id": "${request.id}"}, {"id": "x"}),
        ({"id": "<${request.id}/${request.count}>"}, {"id": "<x/3>"}),
        ({"id": "${request.count}"}, {"id": "3"}),
        ({"id": "${request.urgent}"}, {"id": "true"}),
        ({"id": "${request.color}"}, {"id": "COLOR_BLUE"}),
        ({"id": "${request.weight}"}, {"id": "2"}),
        ({"id": "${request.tags}"}, {"id": '["a", "b"]'}),
        ({"id": "${request.like.parts.0.id}"}, {"id": "p0"}),
        ({"id": "${request.key}"}, {"id": "dGV4dA=="}),
        ({"id": "$${request.id}"}, {"id": "${request.id}"}),
        ({"id": "5 $"}, {"id": "5 $"}),
        ({"price_cents": "${request.count}"}, {"price_cents": "3"}),
        ({"price_cents": "${request.like.price_cents}"}, {"price_cents": "9000000000"}),
        ({"price_cents": "${request.stock.left}"}, {"price_cents": "5"}),
        ({"price_cents": "1${request.count}"}, {"price_cents": "13"}),
        ({"color": "${request.color}"}, {"color": "COLOR_BLUE"}),
        ({"sold": "${request.urgent}"}, {"sold": True}),
        ({"blob": "${request.key}"}, {"blob": "dGV4dA=="}),
        ({"tags": "${request.tags}"}, {"tags": ["a", "b"]}),
        ({"tags": ["${request.id}", "${request.tags.1}"]}, {"tags": ["x", "b"]}),
        ({"stock": "${request.stock}"}, {"stock": {"left": "5"}}),
        ({"stock": {"n": "${request.count}"}}, {"stock": {"n": "3"}}),
        ({"parent": "${request.like}"}, {"parent": {**REQUEST["like"], "price_cents": "9000000000"}}),  # type: ignore[dict-item]
        ({"parent": {"id": "${request.id}"}}, {"parent": {"id": "x"}}),
        ({"parts": "${request.like.parts}"}, {"parts": [{"id": "p0"}]}),
        ({"parts": ["${request.like}"]}, {"parts": [{**REQUEST["like"], "price_cents": "9000000000"}]}),  # type: ignore[dict-item]
        ({"extra": {"all": ["${request.count}", "n ${request.id}"]}}, {"extra": {"all": [3.0, "n x"]}}),
        ({"made": "20${request.count}0-01-01T00:00:00Z"}, {"made": "2030-01-01T00:00:00Z"}),
        ({"weight": "${request.weight}"}, {"weight": 2.0}),
    ],
)
async def test_templates(open_shop: Open, answer: Any, expected: Any) -> None:
    async with open_shop(GetItem=[{"answer": {"message": answer}}]) as (_, call):
        assert await call.one("GetItem", REQUEST) == expected


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"id": "${request.tags.5}"}, "the request has nothing at tags.5"),
        ({"price_cents": "${request.id}"}, "does not fit into the answer"),
    ],
)
async def test_a_request_that_does_not_fit_is_told(open_shop: Open, answer: Any, told: str) -> None:
    async with open_shop(GetItem=[{"answer": {"message": answer}}]) as (fake, call):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.one("GetItem", REQUEST)
        assert caught.value.code() is grpc.StatusCode.INTERNAL
        assert told in (caught.value.details() or "")
        assert fake.calls()[0].code == "INTERNAL"
