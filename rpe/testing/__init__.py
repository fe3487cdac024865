"""Fakes for the tests of other projects: servers that remember, expect, fail on command, and verify.

The fixtures of `rpe.pytest_plugin` hand these out; they need no pytest, and work in any
test. Importing this package is cheap: its names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rpe.fakes.caller_script import SCRIPT_KEY, caller_script
    from rpe.testing.backpressure import Stall, assert_bounded, assert_held, stalls
    from rpe.testing.calls import Call, CallQueue, NodeRun
    from rpe.testing.clock import ManualClock
    from rpe.testing.expectations import Expectation, ExpectationsUnmet
    from rpe.testing.faulty import FaultyLink, FaultyLinks
    from rpe.testing.handlers import Handler
    from rpe.testing.pipeline import FakePipeline
    from rpe.testing.pool import FakePool, PoolMember
    from rpe.testing.sync import SyncFake
    from rpe.testing.sync_pool import SyncLink, SyncLinks, SyncMember, SyncPool
    from rpe.testing.timing import Gap, SessionTiming, timing_of
    from rpe.testing.wires import Answers, Calls, answers_on, answers_on_all, differences

__all__ = [
    "SCRIPT_KEY",
    "Answers",
    "Call",
    "CallQueue",
    "Calls",
    "Expectation",
    "ExpectationsUnmet",
    "FakePipeline",
    "FakePool",
    "FaultyLink",
    "FaultyLinks",
    "Gap",
    "Handler",
    "ManualClock",
    "NodeRun",
    "PoolMember",
    "SessionTiming",
    "Stall",
    "SyncFake",
    "SyncLink",
    "SyncLinks",
    "SyncMember",
    "SyncPool",
    "answers_on",
    "answers_on_all",
    "assert_bounded",
    "assert_held",
    "caller_script",
    "differences",
    "stalls",
    "timing_of",
]

_HOMES = {
    "SCRIPT_KEY": "rpe.fakes.caller_script",
    "Answers": "rpe.testing.wires",
    "Call": "rpe.testing.calls",
    "CallQueue": "rpe.testing.calls",
    "Calls": "rpe.testing.wires",
    "Expectation": "rpe.testing.expectations",
    "ExpectationsUnmet": "rpe.testing.expectations",
    "FakePipeline": "rpe.testing.pipeline",
    "FakePool": "rpe.testing.pool",
    "FaultyLink": "rpe.testing.faulty",
    "FaultyLinks": "rpe.testing.faulty",
    "Gap": "rpe.testing.timing",
    "Handler": "rpe.testing.handlers",
    "ManualClock": "rpe.testing.clock",
    "NodeRun": "rpe.testing.calls",
    "PoolMember": "rpe.testing.pool",
    "SessionTiming": "rpe.testing.timing",
    "Stall": "rpe.testing.backpressure",
    "SyncFake": "rpe.testing.sync",
    "SyncLink": "rpe.testing.sync_pool",
    "SyncLinks": "rpe.testing.sync_pool",
    "SyncMember": "rpe.testing.sync_pool",
    "SyncPool": "rpe.testing.sync_pool",
    "answers_on": "rpe.testing.wires",
    "answers_on_all": "rpe.testing.wires",
    "assert_bounded": "rpe.testing.backpressure",
    "assert_held": "rpe.testing.backpressure",
    "caller_script": "rpe.fakes.caller_script",
    "differences": "rpe.testing.wires",
    "stalls": "rpe.testing.backpressure",
    "timing_of": "rpe.testing.timing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
