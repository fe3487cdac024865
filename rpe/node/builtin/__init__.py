"""The node types in the box."""

from __future__ import annotations

from rpe.node.builtin.audio import GAIN, RESAMPLE
from rpe.node.builtin.collect import COLLECT
from rpe.node.builtin.flow import ECHO, ERROR_PORT, PASS_THROUGH
from rpe.node.builtin.text import LOWER_CASE, REPLACE, STRIP, TEMPLATE, UPPER_CASE
from rpe.node.builtin.vad import VAD_GATE
from rpe.node.builtin.voice import ESPEAK_NG, POCKET_SPHINX, SILERO_VAD
from rpe.node.remote.types import REMOTE_PIPELINE, REMOTE_PIPELINE_NODE

__all__ = ["BUILT_IN"]

BUILT_IN = (
    PASS_THROUGH,
    ECHO,
    ERROR_PORT,
    GAIN,
    RESAMPLE,
    VAD_GATE,
    UPPER_CASE,
    LOWER_CASE,
    STRIP,
    REPLACE,
    TEMPLATE,
    COLLECT,
    SILERO_VAD,
    POCKET_SPHINX,
    ESPEAK_NG,
    REMOTE_PIPELINE_NODE,
    REMOTE_PIPELINE,
)
"""Every node type that a registry knows from the start."""
