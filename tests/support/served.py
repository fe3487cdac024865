"""Pipelines served on any wire, with node types that tests need."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from rpe.data import RuntimeData, Text
from rpe.manifest.model import Connection, Manifest, Node
from rpe.node import Emit, NodeCall, NodeRegistry, NodeType, PipelineNode, node, number, text
from rpe.node.builtin import BUILT_IN
from rpe.transport.ports import ChunkResult, ClientStreamSession

__all__ = ["WIRES", "chain", "graph", "registry", "results", "texts"]

WIRES = ("grpc", "http", "webrtc")


@node("Fail", text("message", "it broke"))
def _fail(data: RuntimeData, call: NodeCall) -> RuntimeData:
    raise ValueError(call.params["message"])


@node("Slow", number("seconds", 0.05))
async def _slow(data: RuntimeData, call: NodeCall) -> RuntimeData:
    await asyncio.sleep(call.params["seconds"])
    return data


@node("Letters", takes=["text"], gives=["text"])
def _letters(data: Text, call: NodeCall) -> list[Text]:
    """One text becomes one text for each of its letters: none, one or many."""
    return [Text(letter) for letter in data.text]


class _Pairs(PipelineNode):
    """Holds back each first text, and gives it with the second; the last one alone at the end."""

    def __init__(self, call: NodeCall) -> None:
        self._held: list[str] = []

    async def process(self, data: RuntimeData, emit: Emit) -> None:
        assert isinstance(data, Text)
        self._held.append(data.text)
        if len(self._held) == 2:
            await self.flush(emit)

    async def flush(self, emit: Emit) -> None:
        if self._held:
            await emit(Text("+".join(self._held)))
            self._held.clear()


def registry(*more: NodeType) -> NodeRegistry:
    types = (*BUILT_IN, _fail, _slow, _letters, NodeType("Pairs", _Pairs), *more)
    return NodeRegistry(types, entry_point_group=None)


def chain(*types: str, **params: Mapping[str, Any]) -> Manifest:
    """A chain of nodes of these types, each called as its type in small letters, with params by that name."""
    ids = [name.lower() for name in types]
    nodes = tuple(Node(key, name, params.get(key, {})) for key, name in zip(ids, types, strict=True))
    return Manifest(nodes=nodes, connections=tuple(map(Connection, ids, ids[1:])))


def graph(nodes: Mapping[str, tuple[str, Mapping[str, Any]]], *edges: tuple[str, str]) -> Manifest:
    return Manifest(
        nodes=tuple(Node(key, kind, params) for key, (kind, params) in nodes.items()),
        connections=tuple(Connection(*edge) for edge in edges),
    )


async def results(session: ClientStreamSession) -> AsyncIterator[ChunkResult]:
    while (result := await session.receive()) is not None:
        yield result


async def texts(session: ClientStreamSession) -> list[tuple[int, dict[str, str]]]:
    """All that a session still gives: the number of the chunk, and the texts by the names of the outputs."""
    return [
        (
            result.sequence,
            {name: data.text for name, data in result.outputs.items() if isinstance(data, Text)},
        )
        async for result in results(session)
    ]
