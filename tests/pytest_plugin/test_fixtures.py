"""The fixtures as a downstream project uses them: its own small test files, and the installed plugin."""

from __future__ import annotations

import json
import sys

import pytest

ASYNC = """
import asyncio
import pytest
import rpe

HELLO = rpe.Manifest.single("n", node_type="Transcribe")


async def test_plain(fake_pipeline):
    async with rpe.connect([fake_pipeline.endpoint]) as client:
        result = await client.execute(rpe.Manifest.single("n", node_type="Echo"), rpe.Text("x"))
    assert result.outputs["output"].text == "x"


@pytest.mark.fake_pipeline(transport="http", nodes={"Transcribe": rpe.Text("hi")})
async def test_marked(fake_pipeline):
    fake_pipeline.expect(node_type="Transcribe", times=1, text_contains="el", metadata={"x-tenant": "t"})
    async with rpe.connect([fake_pipeline.endpoint], transport="http") as client:
        result = await client.execute(HELLO, rpe.Text("hello"), metadata=[("x-tenant", "t")])
    assert result.outputs["output"].text == "hi"
    call = await fake_pipeline.calls.next(timeout_s=5)
    assert call.texts == ("hello",) and call.metadata["x-tenant"] == "t"


async def test_handler(fake_pipeline):
    @fake_pipeline.handle("Transcribe")
    async def transcribe(data):
        await asyncio.sleep(0)
        return rpe.Text(data.text * 2)

    async with rpe.connect([fake_pipeline.endpoint]) as client, asyncio.TaskGroup() as group:
        running = group.create_task(client.execute(HELLO, rpe.Text("ab")))
        run = await transcribe.next(timeout_s=5)
        assert run.data.text == "ab" and transcribe.count == 1
    assert running.result().outputs["output"].text == "abab"


@pytest.mark.fake_pool(servers=["left", "right"])
async def test_pool(fake_pool):
    echo = rpe.Manifest.single("n", node_type="Echo")
    async with rpe.connect(fake_pool.endpoints) as client:
        async with fake_pool["left"].down():
            for _ in range(5):
                await client.execute(echo, rpe.Text("x"))
    assert fake_pool["left"].fake.calls.count == 0
    assert fake_pool["right"].fake.calls.count == 5


async def test_proxy(fake_pipeline, fault_proxy):
    link = await fault_proxy.open(fake_pipeline.endpoint)
    loop = asyncio.get_running_loop()
    async with rpe.connect([link.endpoint]) as client, link.latency(0.1):
        began = loop.time()
        await client.execute(rpe.Manifest.single("n", node_type="Echo"), rpe.Text("x"))
        assert loop.time() - began >= 0.2
"""

SYNC = """
import threading
import pytest
import rpe

ECHO = rpe.Manifest.single("n", node_type="Echo")


@pytest.fixture(autouse=True, scope="module")
def nothing_left():
    yield
    assert not [t.name for t in threading.enumerate() if t.name.startswith("rpe")]


@pytest.mark.fake_pipeline(behaviour={"error": {"status": "unavailable", "first": 1}})
def test_plain(fake_pipeline):
    fake_pipeline.expect(node_type="Echo", times=2)
    with rpe.connect_sync([fake_pipeline.endpoint]) as client:
        assert client.execute(ECHO, rpe.Text("x"), repeatable=True).outputs["output"].text == "x"
    assert fake_pipeline.calls.next(timeout_s=5).texts == ("x",)


def test_pool(fake_pool):
    with rpe.connect_sync(fake_pool.endpoints) as client, fake_pool["a"].down():
        for _ in range(3):
            client.execute(ECHO, rpe.Text("x"))
    assert fake_pool["b"].calls.count == 3


def test_proxy(fake_pipeline, fault_proxy):
    link = fault_proxy.open(fake_pipeline.endpoint)
    with rpe.connect_sync([link.endpoint]) as client:
        client.execute(ECHO, rpe.Text("x"))
    assert link.stats().accepted == 1
"""

UNITTEST = """
import unittest
import pytest
import rpe
from rpe.testing import SyncFake

ECHO = rpe.Manifest.single("n", node_type="Echo")


class WithTheFixture(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def _fake(self, fake_pipeline):
        self.fake = fake_pipeline

    def test_it(self):
        with rpe.connect_sync([self.fake.endpoint]) as client:
            client.execute(ECHO, rpe.Text("x"))
        self.assertEqual(self.fake.calls.count, 1)


class WithoutPytest(unittest.TestCase):
    def setUp(self):
        self.fake = self.enterContext(SyncFake())

    def test_it(self):
        self.fake.expect(node_type="Echo", times=1)
        with rpe.connect_sync([self.fake.endpoint]) as client:
            client.execute(ECHO, rpe.Text("x"))


class OnALoopOfItsOwn(unittest.IsolatedAsyncioTestCase):
    @pytest.fixture(autouse=True)
    def _fake(self, fake_pipeline):
        self.fake = fake_pipeline

    async def test_it(self):
        async with rpe.connect([self.fake.endpoint]) as client:
            await client.execute(ECHO, rpe.Text("x"))
        self.assertEqual(self.fake.calls.count, 1)
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A strict project that has the plugin, and pytest-asyncio in its automatic mode."""
    configure(pytester, "auto")
    return pytester


def configure(pytester: pytest.Pytester, mode: str, *, scope: str = "function") -> None:
    pytester.makepyprojecttoml(
        f"""
        [tool.pytest.ini_options]
        addopts = ["--import-mode=importlib", "--strict-markers", "--strict-config", "-p", "no:cacheprovider"]
        filterwarnings = ["error"]
        asyncio_mode = "{mode}"
        asyncio_default_fixture_loop_scope = "function"
        asyncio_default_test_loop_scope = "{scope}"
        """
    )


def run(pytester: pytest.Pytester, text: str, *options: str) -> pytest.RunResult:
    file = pytester.path / "test_downstream.py"
    file.write_text(text, encoding="utf-8")
    options = options or ("-p", "no:xdist")
    return pytester.runpytest_subprocess(*options, "test_downstream.py", timeout=60)


def test_async_tests(project: pytest.Pytester) -> None:
    run(project, ASYNC).assert_outcomes(passed=5)


@pytest.mark.parametrize("scope", ["function", "module"])
def test_async_tests_in_strict_mode_on_a_loop_of_any_scope(pytester: pytest.Pytester, scope: str) -> None:
    configure(pytester, "strict", scope=scope)
    run(
        pytester, ASYNC.replace("import rpe\n", "import rpe\npytestmark = pytest.mark.asyncio\n", 1)
    ).assert_outcomes(passed=5)


def test_sync_tests(project: pytest.Pytester) -> None:
    run(project, SYNC).assert_outcomes(passed=3)


def test_sync_tests_need_no_pytest_asyncio(pytester: pytest.Pytester) -> None:
    pytester.makepyprojecttoml("[tool.pytest.ini_options]\nfilterwarnings = ['error']")
    run(pytester, SYNC, "-p", "no:asyncio", "-p", "no:xdist").assert_outcomes(passed=3)


def test_unittest(project: pytest.Pytester) -> None:
    run(project, UNITTEST).assert_outcomes(passed=3)


def test_several_processes_at_once(project: pytest.Pytester) -> None:
    run(project, ASYNC, "-n", "2").assert_outcomes(passed=5)


UNMET = """
import pytest
import rpe

ECHO = rpe.Manifest.single("n", node_type="Echo")


async def test_unmet(fake_pipeline):
    fake_pipeline.expect(node_type="Echo", text_contains="hello", times=2)
    async with rpe.connect([fake_pipeline.endpoint]) as client:
        await client.execute(ECHO, rpe.Text("hello"))
        await client.execute(ECHO, rpe.Text("goodbye"))


def test_unmet_sync(fake_pool):
    fake_pool["b"].expect(node_type="Translate")


def test_failed_by_itself(fake_pipeline):
    fake_pipeline.expect(text="never sent")
    assert 1 == 2, "its own failure"
"""


def test_unmet_expectations_fail_the_test_at_its_end_and_tell_the_nearest_miss(
    project: pytest.Pytester,
) -> None:
    result = run(project, UNMET)
    result.assert_outcomes(passed=2, failed=1, errors=2)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_unmet *",
            "fake pipeline:",
            "expected 2 calls with node_type 'Echo' and text one containing 'hello': 1 came, of 2 *",
            "  nearest: call 2 (execute of Echo)",
            "    text: wanted one containing 'hello', got 'goodbye'",
            "*ERROR at teardown of test_unmet_sync *",
            "fake b:",
            "expected 1 call with node_type 'Translate': 0 came, of 0 calls in all",
            "*its own failure*",
            "*Captured fake_pipeline teardown*",
            "expected 1 call with text 'never sent': 0 came, of 0 calls in all",
        ]
    )


def test_a_handler_that_breaks_fails_the_test_with_its_traceback(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
import pytest
import rpe
from rpe.errors import RemoteExecutionFailed


async def test_it(fake_pipeline):
    @fake_pipeline.handle("Transcribe")
    def transcribe(data):
        assert data.text == "expected text"

    async with rpe.connect([fake_pipeline.endpoint]) as client:
        with pytest.raises(RemoteExecutionFailed):
            await client.execute(rpe.Manifest.single("n", node_type="Transcribe"), rpe.Text("other"))
""",
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*assert 'other' == 'expected text'*", "*handler of Transcribe raised*"])


def test_methods_and_tests_of_hypothesis_are_async_tests_too(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
import asyncio
import hypothesis
from hypothesis import strategies
import rpe
from rpe.testing import FakePipeline


class TestIt:
    async def test_method(self, fake_pipeline):
        assert isinstance(fake_pipeline, FakePipeline)


@hypothesis.settings(
    max_examples=3, database=None, deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(text=strategies.text(max_size=5))
async def test_given(fake_pipeline, text):
    async with rpe.connect([fake_pipeline.endpoint]) as client:
        await client.execute(rpe.Manifest.single("n", node_type="Echo"), rpe.Text(text))
    assert (await fake_pipeline.calls.next(5)).texts == (text,)
""",
    )
    result.assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("marker", "told"),
    [
        ("fake_pipeline(colour='red')", "*marker fake_pipeline of test_it is wrong*colour*"),
        ("fake_pipeline(behaviour={'hang': {'rat': 1}})", "*hang.rat is unknown*"),
        ("fake_pipeline(transport='pigeon')", "*pigeon*"),
        ("fake_pipeline('http')", "*takes named arguments only, not 'http'*"),
    ],
)
def test_a_wrong_marker_is_told(project: pytest.Pytester, marker: str, told: str) -> None:
    text = f"import pytest\n\n@pytest.mark.{marker}\ndef test_it(fake_pipeline):\n    pass\n"
    result = run(project, text)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([told])


def test_markers_of_a_class_and_of_its_test_go_together(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
import pytest
import rpe


@pytest.mark.fake_pipeline(transport="http", name="outer")
class TestIt:
    @pytest.mark.fake_pipeline(name="inner")
    def test_it(self, fake_pipeline):
        assert (fake_pipeline.name, fake_pipeline.transport) == ("inner", "http")
""",
    )
    result.assert_outcomes(passed=1)


def test_an_async_test_without_pytest_asyncio_is_told_what_to_do(pytester: pytest.Pytester) -> None:
    text = "async def test_it(fake_pipeline):\n    pass\n"
    result = run(pytester, text, "-p", "no:asyncio", "-p", "no:xdist")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*needs pytest-asyncio*async with rpe.testing.FakePipeline*"])


def test_an_unused_plugin_imports_nothing_heavy(project: pytest.Pytester) -> None:
    (project.path / "test_plain.py").write_text("def test_plain(): pass\n", encoding="utf-8")
    heavy = ("grpc", "aiohttp", "pydantic", "numpy", "yaml", "rpe.fakes", "rpe.testing", "rpe.errors")
    code = f"""
import json, sys, pytest
code = pytest.main(["-q", "-p", "no:xdist", "test_plain.py"])
print(json.dumps([int(code), [name for name in {heavy!r} if name in sys.modules]]))
"""
    result = project.run(sys.executable, "-c", code)
    assert json.loads(result.outlines[-1]) == [0, []]


def test_what_a_test_leaves_when_it_is_cancelled_is_nothing(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
import asyncio
import pytest
import rpe

seen = []


@pytest.mark.fake_pipeline(behaviour={"hang": {}})
async def test_cancelled(fake_pipeline):
    seen.append(fake_pipeline)
    async with rpe.connect([fake_pipeline.endpoint]) as client:
        echo = rpe.Manifest.single("n", node_type="Echo")
        call = asyncio.ensure_future(client.execute(echo, rpe.Text("x")))
        await fake_pipeline.calls.next(timeout_s=5)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        raise asyncio.CancelledError


async def test_afterwards():
    (fake,) = seen
    assert fake.journal.in_flight == 0
    host, _, port = fake.endpoint.rpartition(":")
    with pytest.raises(OSError):
        await asyncio.open_connection(host, int(port))
    assert asyncio.all_tasks() == {asyncio.current_task()}
""",
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*CancelledError*"])
