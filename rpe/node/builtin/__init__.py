"""The node types in the box."""

from __future__ import annotations

from rpe.node.builtin.audio import GAIN, RESAMPLE
from rpe.node.builtin.collect import COLLECT
from rpe.node.builtin.flow import ECHO, ERROR_PORT, PASS_THROUGH
from rpe.node.builtin.text import LOWER_CASE, REPLACE, STRIP, UPPER_CASE
from rpe.node.builtin.vad import VAD_GATE

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
    COLLECT,
)
"""Every node type that a registry knows from the start."""
