"""Results without a number, of servers that do not know ours: the n-th is taken to answer the n-th chunk."""

from __future__ import annotations

import pytest

from rpe.data import Text
from tests.support.foreign import ECHO, Foreign, event, says, session_with


@pytest.mark.parametrize("first", [0, 40], ids=["from the beginning", "from the middle"])
async def test_results_without_a_number_are_counted_from_the_first_chunk_on(first: int) -> None:
    server = Foreign(says(event("a", None), event("b", None)))
    async with session_with(server) as (session, _):
        for number in (first, first + 1):
            await session.send(Text("x"), node_id=ECHO.entry, sequence=number)
        results = [await session.receive() for _ in range(2)]
    assert [result.sequence for result in results if result is not None] == [first, first + 1]
