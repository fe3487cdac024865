"""Pipelines that are ready to be served: speech is found, heard, translated and spoken, always the same way.

A pipeline is written down in one YAML file, and served on any number of wires at once.
Importing this package is cheap: its names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rpe.fakes.pipelines.fake import PipelineFake
    from rpe.fakes.pipelines.files import BUILT_IN_PIPELINES, built_in
    from rpe.fakes.pipelines.model import PipelineDefinition
    from rpe.fakes.pipelines.numbered import frame_numbers
    from rpe.fakes.pipelines.reading import load_pipeline, read_pipeline

__all__ = [
    "BUILT_IN_PIPELINES",
    "PipelineDefinition",
    "PipelineFake",
    "built_in",
    "frame_numbers",
    "load_pipeline",
    "read_pipeline",
]

_HOMES = {
    "BUILT_IN_PIPELINES": "files",
    "PipelineDefinition": "model",
    "PipelineFake": "fake",
    "built_in": "files",
    "frame_numbers": "numbered",
    "load_pipeline": "reading",
    "read_pipeline": "reading",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
