"""What can be done to datagrams: one impairment per file, one line here per impairment."""

from __future__ import annotations

from rpe.faults.relay.impairments.bandwidth import Bandwidth
from rpe.faults.relay.impairments.base import Settings, Stage
from rpe.faults.relay.impairments.burst_loss import BurstLoss
from rpe.faults.relay.impairments.corruption import Corruption
from rpe.faults.relay.impairments.delay import Delay
from rpe.faults.relay.impairments.duplicate import Duplicate
from rpe.faults.relay.impairments.loss import Loss
from rpe.faults.relay.impairments.partition import Partition
from rpe.faults.relay.impairments.reorder import Reorder

__all__ = [
    "IMPAIRMENTS",
    "Bandwidth",
    "BurstLoss",
    "Corruption",
    "Delay",
    "Duplicate",
    "Loss",
    "Partition",
    "Reorder",
    "Settings",
    "Stage",
]

IMPAIRMENTS: dict[str, type[Settings]] = {
    kind.kind: kind for kind in (Bandwidth, BurstLoss, Corruption, Delay, Duplicate, Loss, Partition, Reorder)
}
"""Every impairment by the name it has in the control API."""
