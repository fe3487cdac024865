"""Local pipelines: node types and their registry, and the runner that drives a manifest's graph of nodes.

A pipeline here is a graph without circles. Each node runs in a task of its own and takes its
input from one bounded queue, so a slow node slows what feeds it, back to the source.
"""

from __future__ import annotations

from rpe.node.context import RunContext
from rpe.node.contract import Emit, NodeCall, NodeType, PipelineNode, SelfDrivenNode, node
from rpe.node.errors import DuplicateNodeType, NodeFailed, UnknownNodeType
from rpe.node.metrics import NodeMetrics
from rpe.node.params import AnyParams, Param, Params, flag, integer, number, text
from rpe.node.registry import NodeRegistry, default_registry, register_node
from rpe.node.remote.options import RemoteOptions
from rpe.node.runner import PipelineRunner
from rpe.node.stream import Output, PipelineStream

__all__ = [
    "AnyParams",
    "DuplicateNodeType",
    "Emit",
    "NodeCall",
    "NodeFailed",
    "NodeMetrics",
    "NodeRegistry",
    "NodeType",
    "Output",
    "Param",
    "Params",
    "PipelineNode",
    "PipelineRunner",
    "PipelineStream",
    "RemoteOptions",
    "RunContext",
    "SelfDrivenNode",
    "UnknownNodeType",
    "default_registry",
    "flag",
    "integer",
    "node",
    "number",
    "register_node",
    "text",
]
