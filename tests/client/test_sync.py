"""The blocking facade, against a fake server in a process of its own loop."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import rpe
from rpe.errors import ConfigurationError, RpeError, UnknownTransport
from rpe.fakes.process import FakeProcess

ECHO = rpe.Manifest.single("echo", node_type="Echo")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    import asyncio

    with asyncio.Runner() as runner:
        fake = FakeProcess("a")
        runner.run(fake.start())
        yield fake.endpoint
        runner.run(fake.stop())


def test_calls_block_until_they_are_answered_also_from_many_threads(endpoint: str) -> None:
    with rpe.connect_sync([endpoint]) as client:
        assert client.execute(ECHO, rpe.Text("hello")).output == rpe.Text("hello")
        with ThreadPoolExecutor(8) as threads:
            texts = [str(number) for number in range(40)]
            answers = threads.map(lambda text: client.execute(ECHO, rpe.Text(text)).output, texts)
            assert list(answers) == [rpe.Text(text) for text in texts]
        assert client.statistics().in_flight == 0


def test_a_stream_takes_an_iterable_and_gives_an_iterator(endpoint: str) -> None:
    with rpe.connect_sync([endpoint]) as client:
        chunks = (rpe.Text(str(number)) for number in range(20))
        results = list(client.stream(ECHO, chunks))
        assert [result.sequence for result in results] == list(range(20))


def test_leaving_a_stream_early_cancels_it(endpoint: str) -> None:
    with rpe.connect_sync([endpoint]) as client:
        taken = []

        def endless() -> Iterator[rpe.Text]:
            number = 0
            while True:
                yield rpe.Text(str(number))
                number += 1

        for result in client.stream(ECHO, endless()):
            taken.append(result.sequence)
            if len(taken) == 3:
                break
        assert taken == [0, 1, 2]
        assert client.execute(ECHO, rpe.Text("still here")).output == rpe.Text("still here")


def test_an_iterable_that_raises_ends_the_stream_with_its_error(endpoint: str) -> None:
    def broken() -> Iterator[rpe.Text]:
        yield rpe.Text("one")
        raise ZeroDivisionError("odd")

    with rpe.connect_sync([endpoint]) as client, pytest.raises(ZeroDivisionError):
        list(client.stream(ECHO, broken()))


def test_errors_come_through_and_the_thread_ends_with_the_context() -> None:
    settings = rpe.ClientSettings(timeout_s=0.3)
    with rpe.connect_sync(["127.0.0.1:1"], settings=settings) as client, pytest.raises(RpeError):
        client.execute(ECHO, rpe.Text("x"))
    assert not [thread for thread in threading.enumerate() if thread.name == "rpe sync client"]


def test_wrong_arguments_leave_no_thread() -> None:
    with pytest.raises(UnknownTransport), rpe.connect_sync(["a"], transport="carrier-pigeon"):
        pass
    with pytest.raises(ConfigurationError), rpe.connect_sync([]):
        pass
    assert not [thread for thread in threading.enumerate() if thread.name == "rpe sync client"]


def test_it_must_be_entered_first() -> None:
    with pytest.raises(RuntimeError, match="context manager"):
        rpe.connect_sync(["127.0.0.1:1"]).execute(ECHO, rpe.Text("x"))
