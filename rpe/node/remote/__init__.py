"""A node of a local pipeline that stands for a pipeline on other machines.

Importing this package loads neither a wire nor the client: they are loaded when a node is opened.
"""

from __future__ import annotations

from rpe.node.remote.options import RemoteOptions

__all__ = ["RemoteOptions"]
