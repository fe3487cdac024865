"""Pipelines as a server: the node types of a registry, offered to callers on any wire."""

from __future__ import annotations

from rpe.node.serving.admission import ServiceLimits, TokenCheck, TokenRule
from rpe.node.serving.server import ServedPipelines, serve_pipelines
from rpe.node.serving.service import STRANGERS, PipelineService
from rpe.node.serving.tokens import TokenFile

__all__ = [
    "STRANGERS",
    "PipelineService",
    "ServedPipelines",
    "ServiceLimits",
    "TokenCheck",
    "TokenFile",
    "TokenRule",
    "serve_pipelines",
]
