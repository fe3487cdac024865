"""The kinds of toxics. One file each; a new one needs its file and its line here."""

from __future__ import annotations

from typing import Any

from rpe.faults.proxy.toxic import Kind
from rpe.faults.proxy.toxics import (
    bandwidth,
    latency,
    limit_data,
    noop,
    reset_peer,
    slicer,
    slow_close,
    timeout,
)

__all__ = ["KINDS"]

KINDS: dict[str, Kind[Any]] = {
    "bandwidth": bandwidth.KIND,
    "latency": latency.KIND,
    "limit_data": limit_data.KIND,
    "noop": noop.KIND,
    "reset_peer": reset_peer.KIND,
    "slicer": slicer.KIND,
    "slow_close": slow_close.KIND,
    "timeout": timeout.KIND,
}
