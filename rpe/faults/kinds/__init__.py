"""The fault kinds a scenario can name: one kind per file, one line here per kind."""

from __future__ import annotations

from rpe.faults.kinds.bandwidth import Bandwidth
from rpe.faults.kinds.base import FaultContext, FaultKind
from rpe.faults.kinds.behaviour import ChangeBehaviour
from rpe.faults.kinds.blackhole import Blackhole
from rpe.faults.kinds.down import Down
from rpe.faults.kinds.duplicate import Duplicate
from rpe.faults.kinds.flapping import Flapping
from rpe.faults.kinds.kill import Kill
from rpe.faults.kinds.latency import Latency
from rpe.faults.kinds.limit_data import LimitData
from rpe.faults.kinds.nothing import Nothing
from rpe.faults.kinds.packet_corruption import PacketCorruption
from rpe.faults.kinds.packet_loss import PacketLoss
from rpe.faults.kinds.partition import Partition
from rpe.faults.kinds.partition_oneway import PartitionOneway
from rpe.faults.kinds.pause import Pause
from rpe.faults.kinds.rebind import AddressChange
from rpe.faults.kinds.reorder import Reorder
from rpe.faults.kinds.reset import Reset
from rpe.faults.kinds.restart import Restart
from rpe.faults.kinds.signalling_down import SignallingDown
from rpe.faults.kinds.slicer import Slicer
from rpe.faults.kinds.slow_close import SlowClose

__all__ = ["KINDS", "FaultContext", "FaultKind"]

KINDS: dict[str, type[FaultKind]] = {
    "bandwidth": Bandwidth,
    "behaviour": ChangeBehaviour,
    "blackhole": Blackhole,
    "down": Down,
    "duplicate": Duplicate,
    "flapping": Flapping,
    "kill": Kill,
    "latency": Latency,
    "limit_data": LimitData,
    "nothing": Nothing,
    "packet_corruption": PacketCorruption,
    "packet_loss": PacketLoss,
    "partition": Partition,
    "partition_oneway": PartitionOneway,
    "pause": Pause,
    "rebind": AddressChange,
    "reorder": Reorder,
    "reset": Reset,
    "restart": Restart,
    "signalling_down": SignallingDown,
    "slicer": Slicer,
    "slow_close": SlowClose,
}
"""Every fault kind by the name it has in a scenario."""
