"""The fixtures `fake_pipeline`, `fake_pool` and `fault_proxy`.

An async test gets servers on its own event loop. A sync test, and a method of unittest,
gets them on a loop in a thread of their own, with the same names as plain functions. Each
test has its own, at free ports, so that tests can run side by side in any number of processes.

Nothing heavy is imported before a test asks for one of them.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from rpe.testing.faulty import FaultyLinks
    from rpe.testing.pipeline import FakePipeline
    from rpe.testing.pool import FakePool
    from rpe.testing.sync import SyncFake
    from rpe.testing.sync_pool import SyncLinks, SyncPool

__all__ = [
    "MARKERS",
    "fake_pipeline",
    "fake_pool",
    "fault_proxy",
    "loop_fixture",
    "pytest_runtest_makereport",
]

MARKERS = (
    "fake_pipeline(transport=, behaviour=, nodes=, ...): arguments of rpe.testing.FakePipeline",
    "fake_pool(servers=, transport=, behaviour=, nodes=, ...): arguments of rpe.testing.FakePool",
    "fault_proxy(seed=): arguments of rpe.testing.FaultyLinks",
)

PASSED = pytest.StashKey[bool]()


@pytest.fixture
def fake_pipeline(request: pytest.FixtureRequest) -> Iterator[FakePipeline | SyncFake]:
    """A fake pipeline server that runs, at `fake_pipeline.endpoint`.

    An async test gets a `rpe.testing.FakePipeline`, any other a `rpe.testing.SyncFake`. The
    marker `fake_pipeline` has its arguments. What was expected of it is verified once it has stopped.
    """
    from rpe.testing import FakePipeline, SyncFake

    yield from _served(request, "fake_pipeline", FakePipeline, SyncFake)


@pytest.fixture
def fake_pool(request: pytest.FixtureRequest) -> Iterator[FakePool | SyncPool]:
    """Fake servers that run, each behind a fault proxy of its own, at `fake_pool.endpoints`.

    An async test gets a `rpe.testing.FakePool`, any other a `rpe.testing.SyncPool`. The marker
    `fake_pool` has its arguments; there are two servers, a and b, by default.
    """
    from rpe.testing import FakePool, SyncPool

    yield from _served(request, "fake_pool", FakePool, SyncPool)


@pytest.fixture
def fault_proxy(request: pytest.FixtureRequest) -> Iterator[FaultyLinks | SyncLinks]:
    """Fault proxies for addresses of your own: `link = await fault_proxy.open("127.0.0.1:5432")`.

    An async test gets a `rpe.testing.FaultyLinks`, any other a `rpe.testing.SyncLinks`.
    """
    from rpe.testing import FaultyLinks, SyncLinks

    yield from _served(request, "fault_proxy", FaultyLinks, SyncLinks)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note whether the test itself has passed: only then is there a point in verifying."""
    report = yield
    if report.when == "call":
        item.stash[PASSED] = report.passed
    return report


def loop_fixture(scope: str) -> str:
    """Return the name of the fixture that is the event loop of that scope of pytest-asyncio."""
    return f"_rpe_{scope}_loop"


def _served(
    request: pytest.FixtureRequest, marker: str, here: Callable[..., Any], in_a_thread: Callable[..., Any]
) -> Iterator[Any]:
    """Make what a fixture yields, start it, stop it, and verify it where it can be verified."""
    loop = _loop_of(request)
    served = _made(request, marker, in_a_thread if loop is None else here)
    if loop is None:
        served.start()
    else:
        loop.run_until_complete(served.start())
    try:
        yield served
    finally:
        if loop is None:
            served.stop()
        else:
            loop.run_until_complete(served.stop())
    if hasattr(served, "verify"):
        _verify(request.node, marker, served)


def _made(request: pytest.FixtureRequest, marker: str, make: Callable[..., Any]) -> Any:
    from rpe.errors import RpeError

    settings: dict[str, Any] = {}
    for mark in reversed(list(request.node.iter_markers(marker))):
        if mark.args:
            _fail(f"the marker {marker} takes named arguments only, not {mark.args[0]!r}")
        settings |= mark.kwargs
    try:
        return make(**settings)
    except (RpeError, TypeError) as error:
        _fail(f"the marker {marker} of {request.node.name} is wrong: {error}")


def _verify(item: pytest.Item, marker: str, served: Any) -> None:
    """Fail the test where it has passed by itself; where it has not, add to its report what was unmet."""
    from rpe.testing.expectations import ExpectationsUnmet

    if not item.stash.get(PASSED, False):
        if problems := served.problems():
            item.add_report_section("teardown", marker, problems)
        return
    try:
        served.verify()
    except ExpectationsUnmet as error:
        if error.__cause__ is not None:
            raise  # a handler broke: its traceback is what helps
        text = str(error)
    else:
        return
    _fail(text)


def _loop_of(request: pytest.FixtureRequest) -> AbstractEventLoop | None:
    """Return the loop that an async test will run on; None for a test that has none when it begins."""
    function = request.function
    function = getattr(getattr(function, "hypothesis", None), "inner_test", function)
    if not inspect.iscoroutinefunction(function) or _is_unittest(request.instance):
        return None
    mark = request.node.get_closest_marker("asyncio")
    if mark is None or not request.config.pluginmanager.hasplugin("asyncio"):
        _fail(
            f"{request.fixturename} in an async test needs pytest-asyncio (in strict mode: its marker too); "
            "elsewhere use `async with rpe.testing.FakePipeline() as fake`"
        )
    scope = mark.kwargs.get("loop_scope") or request.config.getini("asyncio_default_test_loop_scope")
    loop: AbstractEventLoop = request.getfixturevalue(loop_fixture(scope))
    return loop


def _is_unittest(instance: object) -> bool:
    unittest = sys.modules.get("unittest")
    return unittest is not None and isinstance(instance, unittest.TestCase)


def _fail(text: str) -> NoReturn:
    pytest.fail(text, pytrace=False)
