"""Nodes that leave the data as it is."""

from __future__ import annotations

from dataclasses import replace

from rpe.data import RuntimeData
from rpe.node.contract import NodeCall, node

__all__ = ["ECHO", "ERROR_PORT", "ERROR_SUFFIX", "PASS_THROUGH"]

ERROR_SUFFIX = ".error"
"""What the id of an error port adds to the id of its node."""


@node("PassThrough", gives=None)
def _pass(data: RuntimeData, call: NodeCall) -> RuntimeData:
    return data


PASS_THROUGH = _pass
ECHO = replace(_pass, name="Echo")

ERROR_PORT = replace(_pass, name="ErrorPort", takes=frozenset(["json"]))
"""The error port of the node `X` is a node of this type with the id `X.error`: connections lead on from it.

No connection leads to it. While `X` has one, its failures do not fail the run: each comes
out here as JSON (`rpe.node.worker.error_item`).
"""
