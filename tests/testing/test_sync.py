"""The same fakes for code without an event loop."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

import rpe
from rpe.errors import ConfigurationError, RemoteExecutionFailed
from rpe.testing import ExpectationsUnmet, SyncFake, SyncLinks, SyncPool

ECHO = rpe.Manifest.single("n", node_type="Echo")
X = rpe.Text("x")


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = set(threading.enumerate()) - before
    assert [thread.name for thread in left if thread.name.startswith("rpe")] == []


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_a_fake_serves_a_sync_client(transport: str) -> None:
    with (
        SyncFake(transport=transport) as fake,
        rpe.connect_sync([fake.endpoint], transport=transport) as client,
    ):
        fake.expect(node_type="Transcribe", times=1)

        @fake.handle("Transcribe")
        def transcribe(data: rpe.Text) -> rpe.Text:
            assert threading.current_thread().name == "rpe fake pipeline"
            return rpe.Text(data.text * 2)

        result = client.execute(rpe.Manifest.single("n", node_type="Transcribe"), X)
        assert result.outputs == {"output": rpe.Text("xx")}
        assert fake.calls.next(1).texts == ("x",) and fake.calls.count == len(fake.calls) == 1
        assert transcribe.next(1).data == X and transcribe.count == 1
        with pytest.raises(TimeoutError):
            fake.calls.next(0.01)
        fake.set_behaviour({"application_error": {}})
        with pytest.raises(RemoteExecutionFailed):
            client.execute(ECHO, X)
        assert [entry.fault for entry in fake.journal_entries() if entry.fault] == ["application_error"]


def test_what_is_unmet_is_raised_at_the_end_and_never_hides_another_error() -> None:
    with pytest.raises(ExpectationsUnmet, match="0 came"), SyncFake() as fake:
        fake.expect()
    assert fake.problems() == ""
    with pytest.raises(ZeroDivisionError), SyncFake() as fake:
        fake.expect()
        raise ZeroDivisionError


def test_a_fake_that_cannot_start_leaves_no_thread() -> None:
    with SyncFake() as first:
        port = int(first.endpoint.rpartition(":")[2])
        with pytest.raises(ConfigurationError), SyncFake(port=port):
            pass


def test_what_does_not_run_is_told() -> None:
    fake = SyncFake()
    with pytest.raises(RuntimeError, match="as a context manager"):
        fake.expect()
    fake.stop()
    with pytest.raises(RuntimeError, match="with SyncLinks"):
        SyncLinks().open("127.0.0.1:1")


def test_a_pool_and_its_faults() -> None:
    with SyncPool(2) as pool, rpe.connect_sync(pool.endpoints) as client:
        pool["a"].expect(times=0)
        pool["b"].expect(times=4)
        with pool["a"].down(), pool["b"].latency(0.001):
            for _ in range(4):
                client.execute(ECHO, X)
        assert [member.calls.count for member in pool] == [0, 4] and len(pool) == 2
        assert pool["b"].calls.next(1).texts == ("x",)
        assert pool["b"].stats().accepted >= 1

        pool["b"].handle("Echo")(rpe.Text("b"))
        pool["a"].set_behaviour({"token": "unknown"})
    assert [member.name for member in pool.pool] == ["a", "b"]


def test_what_is_unmet_at_a_server_of_a_pool_is_raised() -> None:
    with pytest.raises(ExpectationsUnmet, match="fake b:"), SyncPool() as pool:
        pool["b"].expect()


def test_a_fault_is_gone_when_its_block_fails() -> None:
    with SyncFake() as fake, SyncLinks() as links:
        link = links.open(fake.endpoint, "mine")
        assert (link.name, link.upstream) == ("mine", fake.endpoint)
        for fault in (link.down(), link.blackhole(), link.bandwidth(1000), link.fault("reset")):
            with pytest.raises(ZeroDivisionError), fault:
                raise ZeroDivisionError
        with rpe.connect_sync([link.endpoint]) as client:
            client.execute(ECHO, X)
