from __future__ import annotations

import asyncio
import itertools

import pytest

from rpe.data import RuntimeData, Text
from rpe.errors import ConfigurationError, SessionClosed
from rpe.manifest.model import Connection, Manifest, Node
from rpe.node import (
    Emit,
    NodeCall,
    NodeFailed,
    NodeRegistry,
    NodeType,
    Output,
    PipelineNode,
    PipelineRunner,
    PipelineStream,
)


class Gate(PipelineNode):
    """Waits where it is told to, until it is let through; remembers what it did."""

    def __init__(self, call: NodeCall) -> None:
        self.call = call
        GATES[call.node_id] = self
        self.open = asyncio.Event()
        self.waits_in = call.params.get("waits_in", "")
        self.seen: list[str] = []
        self.deaf = bool(call.params.get("deaf"))
        self.closed = False

    async def _wait(self, place: str) -> None:
        if self.waits_in == place:
            self.seen.append(f"waits in {place}")
            try:
                await self.open.wait()
            except asyncio.CancelledError:
                if not self.deaf:
                    raise

    async def process(self, data: RuntimeData, emit: Emit) -> None:
        assert isinstance(data, Text)
        self.seen.append(data.text)
        await self._wait("process")
        if data.text == "bad":
            raise RuntimeError("bad")
        await emit(data)

    async def flush(self, emit: Emit) -> None:
        await self._wait("flush")

    async def close(self) -> None:
        await self._wait("close")
        self.closed = True


GATES: dict[str, Gate] = {}
REGISTRY = NodeRegistry([NodeType("Gate", Gate)], entry_point_group=None)


def chain(count: int, *, queue_size: int = 2, **params: dict[str, object]) -> PipelineRunner:
    """n0 -> n1 -> ..., with params by id."""
    GATES.clear()
    ids = [f"n{i}" for i in range(count)]
    manifest = Manifest(
        nodes=tuple(Node(key, "Gate", params.get(key, {})) for key in ids),
        connections=tuple(Connection(a, b) for a, b in itertools.pairwise(ids)),
    )
    return PipelineRunner(manifest, REGISTRY, queue_size=queue_size)


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def read(stream: PipelineStream) -> list[str]:
    return [output.data.text async for output in stream if isinstance(output.data, Text)]


async def test_outputs_come_while_input_is_sent() -> None:
    async with asyncio.timeout(5), chain(3).stream() as stream:
        for number in range(20):
            await stream.send(Text(str(number)))
            assert await anext(stream) == Output("n2", Text(str(number)))
        await stream.finish()
        await stream.finish()
        assert await read(stream) == []
    assert all(gate.closed for gate in GATES.values())


async def test_a_slow_node_slows_the_source() -> None:
    runner = chain(4, n3={"waits_in": "process"})
    async with asyncio.timeout(5), runner.stream() as stream:
        sent: list[int] = []

        async def source() -> None:
            for number in range(100):
                await stream.send(Text(str(number)))
                sent.append(number)
            await stream.finish()

        sending = asyncio.create_task(source())
        await settle()
        # Four queues of two, the item in the last node, and one in each of the three before it.
        assert len(sent) == 4 * 2 + 1 + 3
        await settle()
        assert len(sent) == 12
        GATES["n3"].open.set()
        assert await read(stream) == [str(number) for number in range(100)]
        await sending
    assert runner.metrics()["n3"].items_out == 100


async def test_an_unread_output_slows_the_source_too() -> None:
    async with asyncio.timeout(5), chain(1, queue_size=1).stream() as stream:
        sending = asyncio.create_task(send_many(stream, 10))
        await settle()
        assert not sending.done()
        assert len(GATES["n0"].seen) == 2  # one read from outside, one that waits for room
        assert len(await read(stream)) == 10
        await sending


async def send_many(stream: PipelineStream, count: int) -> None:
    for number in range(count):
        await stream.send(Text(str(number)))
    await stream.finish()


async def test_sends_that_wait_while_the_input_is_finished_are_not_lost() -> None:
    async with asyncio.timeout(5), chain(1, queue_size=1, n0={"waits_in": "process"}).stream() as stream:
        sends = [asyncio.create_task(stream.send(Text(str(number)))) for number in range(6)]
        await settle()
        await stream.finish()
        GATES["n0"].open.set()
        assert sorted(await read(stream)) == [str(number) for number in range(6)]
        await asyncio.gather(*sends)


async def test_a_failure_reaches_the_reader_after_what_was_ready_and_then_every_call() -> None:
    with pytest.raises(NodeFailed):
        async with asyncio.timeout(5), chain(2, queue_size=4).stream() as stream:
            await stream.send(Text("1"))
            assert await anext(stream) == Output("n1", Text("1"))
            await stream.send(Text("2"))
            await settle()
            await stream.send(Text("bad"))
            await settle()
            assert await anext(stream) == Output("n1", Text("2"))
            with pytest.raises(NodeFailed) as caught:
                await anext(stream)
            assert caught.value.node == "n0"
            with pytest.raises(NodeFailed):
                await stream.send(Text("3"))
            raise caught.value


async def test_a_failure_wakes_a_sender_that_waits() -> None:
    async with asyncio.timeout(5):
        with pytest.raises(NodeFailed):
            async with chain(1, queue_size=1, n0={"waits_in": "process"}).stream() as stream:
                await stream.send(Text("bad"))
                sending = asyncio.create_task(send_many(stream, 10))
                await settle()
                assert not sending.done()
                GATES["n0"].open.set()
                with pytest.raises(NodeFailed) as caught:
                    await sending
                raise caught.value


async def test_a_failure_that_no_call_told_is_raised_on_leaving() -> None:
    with pytest.raises(NodeFailed):
        async with chain(1).stream() as stream:
            await stream.send(Text("bad"))
            await settle()


async def test_a_failure_that_was_told_is_not_raised_again() -> None:
    async with chain(1).stream() as stream:
        await stream.send(Text("bad"))
        with pytest.raises(NodeFailed):
            await anext(stream)
    assert GATES["n0"].closed


async def test_leaving_early_drops_the_rest_and_closes_all() -> None:
    async with chain(3, n2={"waits_in": "process"}).stream() as stream:
        await stream.send(Text("1"))
        await settle()
    assert all(gate.closed for gate in GATES.values())
    with pytest.raises(SessionClosed):
        await stream.send(Text("2"))
    with pytest.raises(SessionClosed):
        await anext(stream)


async def test_a_stream_is_used_as_it_is_meant_to_be() -> None:
    stream = chain(1).stream()
    with pytest.raises(SessionClosed, match="not open"):
        await stream.send(Text("1"))
    with pytest.raises(SessionClosed, match="not open"):
        await anext(stream)
    async with stream:
        with pytest.raises(SessionClosed, match="once"):
            await stream.__aenter__()
        with pytest.raises(ConfigurationError, match="'z'"):
            await stream.send(Text("1"), "z")
        await stream.finish()
        with pytest.raises(SessionClosed, match="finished"):
            await stream.send(Text("1"))


@pytest.mark.parametrize("place", ["process", "flush", "close"])
@pytest.mark.parametrize("deaf", [False, True])
async def test_a_run_is_cancelled_wherever_a_node_waits(place: str, deaf: bool) -> None:
    runner = chain(3, n1={"waits_in": place, "deaf": deaf})
    running = asyncio.create_task(runner.run({"n0": [Text(str(number)) for number in range(20)]}))
    await settle()
    assert f"waits in {place}" in GATES["n1"].seen
    running.cancel()
    if place == "close" and not deaf:
        GATES["n1"].waits_in = ""
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await running
    assert GATES["n0"].closed
    assert GATES["n2"].closed


@pytest.mark.parametrize("steps", range(40))
async def test_a_run_is_cancelled_after_any_number_of_steps(steps: int) -> None:
    """The fixture of this folder sees to it that nothing is left."""
    runner = chain(3, queue_size=1)
    running = asyncio.create_task(runner.run({"n0": [Text("1"), Text("2"), Text("3")]}))
    for _ in range(steps):
        await asyncio.sleep(0)
    running.cancel()
    try:
        async with asyncio.timeout(5):
            await running
    except asyncio.CancelledError:
        pass
    assert all(gate.closed for gate in GATES.values())


@pytest.mark.parametrize("what", ["send", "read"])
async def test_a_call_of_the_stream_is_cancelled_and_the_stream_goes_on(what: str) -> None:
    runner = chain(1, queue_size=1, n0={"waits_in": "process"} if what == "send" else {})
    async with asyncio.timeout(5), runner.stream() as stream:
        calls = [
            asyncio.ensure_future(stream.send(Text(str(i))) if what == "send" else anext(stream))
            for i in (0, 1, 2)
        ]
        await settle()
        assert not calls[2].done()
        calls[2].cancel()
        await asyncio.wait(calls[2:])
        if what == "send":
            GATES["n0"].open.set()
            await asyncio.gather(*calls[:2])
        else:
            await stream.send(Text("0"))
            await stream.send(Text("1"))
            assert len(await asyncio.gather(*calls[:2])) == 2
        await stream.finish()
        assert await read(stream) == (["0", "1"] if what == "send" else [])


async def test_leaving_waits_for_nodes_that_close_also_when_it_is_cancelled_itself() -> None:
    async def use() -> None:
        async with chain(1, n0={"waits_in": "close"}).stream():
            await settle()

    using = asyncio.create_task(use())
    for _ in range(3):
        await settle()
    using.cancel()
    await settle()
    assert not using.done()
    GATES["n0"].open.set()
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await using
    assert GATES["n0"].closed
