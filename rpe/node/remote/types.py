"""The node types of remote pipelines, under both of their names; what they need is loaded when it is used."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any

from rpe.node.contract import NodeCall, NodeType, PipelineNode
from rpe.node.kinds import ALL_KINDS, CONTROL

__all__ = ["REMOTE_PIPELINE", "REMOTE_PIPELINE_NODE"]


@dataclass(frozen=True, slots=True)
class _Reader:
    """Fills `rpe.node.params.ParamReader`."""

    streaming: bool

    def read(self, raw: Mapping[str, Any], where: str) -> tuple[Any, list[str]]:
        from rpe.node.remote.params import read_params

        return read_params(raw, where, streaming=self.streaming)


def _open(call: NodeCall) -> AbstractAsyncContextManager[Any]:
    from rpe.node.remote.opening import open_remote

    return open_remote(call)


def _make_unary(call: NodeCall) -> PipelineNode:
    from rpe.node.remote.unary import UnaryRemoteNode

    return UnaryRemoteNode(call)


def _make_streaming(call: NodeCall) -> PipelineNode:
    from rpe.node.remote.streaming import StreamingRemoteNode

    return StreamingRemoteNode(call)


_STREAMING = NodeType("RemotePipelineNode", _make_streaming, params=_Reader(True), open=_open)
"""One session for each run, which takes control messages among the chunks."""

REMOTE_PIPELINE_NODE = NodeType(
    "RemotePipelineNode",
    _make_unary,
    # An execution has one input: control messages pass it by here.
    takes=ALL_KINDS - CONTROL,
    params=_Reader(False),
    open=_open,
    streaming=_STREAMING,
)
"""A pipeline on other machines. Each item is one execution; with `is_streaming`, one chunk of a session."""

REMOTE_PIPELINE = replace(
    REMOTE_PIPELINE_NODE, name="RemotePipeline", streaming=replace(_STREAMING, name="RemotePipeline")
)
