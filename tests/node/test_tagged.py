from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rpe.data import RuntimeData, Text
from rpe.manifest.model import Manifest
from rpe.node import Emit, NodeCall, NodeFailed, NodeType, Params, PipelineRunner, SelfDrivenNode, flag
from rpe.node.marks import UNMARKED, answering, taken
from rpe.node.tagged import Settled, TaggedOutput, TaggedStream
from tests.support.served import chain, graph, registry


class Late(SelfDrivenNode):
    """Takes everything before it answers, and says which item it answers where it is asked to."""

    def __init__(self, call: NodeCall) -> None:
        self._says = call.params["says"]

    async def run(self, items: AsyncIterator[RuntimeData], emit: Emit) -> None:
        held = [(item, taken()) async for item in items]

        async def give() -> None:
            for item, mark in held:
                with answering(mark if self._says else UNMARKED):
                    await emit(item)

        await asyncio.create_task(give())  # nodes may take and give in tasks of their own


REGISTRY = registry(NodeType("Late", Late, params=Params(flag("says", False))))


async def events(manifest: Manifest, *inputs: tuple[int, str], node: str = "") -> list[tuple[Any, ...]]:
    """What a run gives for texts with tags: (tag, node, text) and (tag,) for a settled one."""
    given: list[tuple[Any, ...]] = []
    async with PipelineRunner(manifest, REGISTRY).tagged_stream() as stream, asyncio.TaskGroup() as group:

        async def feed() -> None:
            for tag, content in inputs:
                await stream.send_all({node: [Text(content)]}, tag)
            await stream.finish()

        group.create_task(feed())
        async for event in stream:
            given.append((event.tag,) if isinstance(event, Settled) else of(event))
    return given


def of(output: TaggedOutput) -> tuple[Any, ...]:
    assert isinstance(output.data, Text)
    return output.tag, output.node, output.data.text


async def test_outputs_have_the_tag_of_the_input_that_made_them_and_come_before_it_is_settled() -> None:
    given = await events(chain("Letters", "UpperCase"), (5, "ab"), (6, ""), (9, "c"))
    assert [event for event in given if len(event) > 1] == [
        (5, "uppercase", "A"),
        (5, "uppercase", "B"),
        (9, "uppercase", "C"),
    ]
    for tag in (5, 6, 9):
        assert given.count((tag,)) == 1
        after = given[given.index((tag,)) :]
        assert not [event for event in after if len(event) > 1 and event[0] == tag]


async def test_an_input_is_settled_only_when_every_branch_has_done_with_it() -> None:
    manifest = graph(
        {"in": ("Echo", {}), "fast": ("Echo", {}), "slow": ("Slow", {"seconds": 0.01})},
        ("in", "fast"),
        ("in", "slow"),
    )
    given = await events(manifest, (0, "a"), (1, "b"))
    for tag in (0, 1):
        place = given.index((tag,))
        assert {event[1] for event in given[:place] if len(event) > 1 and event[0] == tag} == {"fast", "slow"}


async def test_what_is_held_back_to_the_end_belongs_to_the_last_input() -> None:
    given = await events(chain("Collect"), (3, "a"), (4, "b"))
    assert given[-1] == (4, "collect", "a b")
    assert (3,) in given and (4,) in given


@pytest.mark.parametrize(("says", "tags"), [(True, [3, 4, 9]), (False, [9, 9, 9])])
async def test_a_node_that_answers_late_says_what_it_answers(says: bool, tags: list[int]) -> None:
    manifest = chain("Late", "UpperCase", late={"says": says})
    given = await events(manifest, (3, "a"), (4, "b"), (9, "c"))
    assert [event for event in given if len(event) > 1] == [
        (tag, "uppercase", name) for tag, name in zip(tags, "ABC", strict=True)
    ]
    assert {(3,), (4,), (9,)} <= set(given)


async def test_an_error_that_leaves_by_a_port_has_the_tag_of_its_input() -> None:
    manifest = graph({"bad": ("Fail", {}), "bad.error": ("ErrorPort", {})})
    async with PipelineRunner(manifest, REGISTRY).tagged_stream() as stream:
        await stream.send_all({"bad": [Text("a")]}, 7)
        event = await anext(stream)
        assert isinstance(event, TaggedOutput) and (event.node, event.tag) == ("bad.error", 7)
        assert await anext(stream) == Settled(7)


async def test_several_items_may_have_one_tag() -> None:
    async with PipelineRunner(chain("Echo"), REGISTRY).tagged_stream() as stream:
        await stream.send_all({"": [Text("a"), Text("b")], "echo": [Text("c")]}, 2)
        await stream.send_all({}, 3)
        given = [await anext(stream) for _ in range(5)]
    assert [event.tag for event in given if isinstance(event, TaggedOutput)] == [2, 2, 2]
    assert sorted(event.tag for event in given if isinstance(event, Settled)) == [2, 3]


async def test_a_failure_is_that_of_any_run() -> None:
    async with PipelineRunner(chain("Fail"), REGISTRY).tagged_stream() as stream:
        await stream.send_all({"": [Text("a")]}, 0)
        with pytest.raises(NodeFailed):
            await anext(stream)


def test_it_is_a_stream_of_its_runner() -> None:
    assert isinstance(PipelineRunner(chain("Echo"), REGISTRY).tagged_stream(), TaggedStream)
