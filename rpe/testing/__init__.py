"""Fakes for the tests of other projects: servers that remember, expect, fail on command, and verify.

The fixtures of `rpe.pytest_plugin` hand these out; they need no pytest, and work in any
test. Importing this package is cheap: its names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rpe.fakes.caller_script import SCRIPT_KEY, caller_script
    from rpe.testing.calls import Call, CallQueue, NodeRun
    from rpe.testing.expectations import Expectation, ExpectationsUnmet
    from rpe.testing.faulty import FaultyLink, FaultyLinks
    from rpe.testing.handlers import Handler
    from rpe.testing.pipeline import FakePipeline
    from rpe.testing.pool import FakePool, PoolMember
    from rpe.testing.sync import SyncFake
    from rpe.testing.sync_pool import SyncLink, SyncLinks, SyncMember, SyncPool

__all__ = [
    "SCRIPT_KEY",
    "Call",
    "CallQueue",
    "Expectation",
    "ExpectationsUnmet",
    "FakePipeline",
    "FakePool",
    "FaultyLink",
    "FaultyLinks",
    "Handler",
    "NodeRun",
    "PoolMember",
    "SyncFake",
    "SyncLink",
    "SyncLinks",
    "SyncMember",
    "SyncPool",
    "caller_script",
]

_HOMES = {
    "SCRIPT_KEY": "rpe.fakes.caller_script",
    "Call": "rpe.testing.calls",
    "CallQueue": "rpe.testing.calls",
    "Expectation": "rpe.testing.expectations",
    "ExpectationsUnmet": "rpe.testing.expectations",
    "FakePipeline": "rpe.testing.pipeline",
    "FakePool": "rpe.testing.pool",
    "FaultyLink": "rpe.testing.faulty",
    "FaultyLinks": "rpe.testing.faulty",
    "Handler": "rpe.testing.handlers",
    "NodeRun": "rpe.testing.calls",
    "PoolMember": "rpe.testing.pool",
    "SyncFake": "rpe.testing.sync",
    "SyncLink": "rpe.testing.sync_pool",
    "SyncLinks": "rpe.testing.sync_pool",
    "SyncMember": "rpe.testing.sync_pool",
    "SyncPool": "rpe.testing.sync_pool",
    "caller_script": "rpe.fakes.caller_script",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
